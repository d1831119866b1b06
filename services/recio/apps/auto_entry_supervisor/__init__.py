"""auto_entry_supervisor: the entry rules of one account.

Job: judge every strike of every snapshot, propose entries to the gate, record why or why not, show
the automation's indicator.
Reads: snapshots; the account's settings, switches, trades and own intents. Writes: intents,
decisions, automation.
A strategy of one's own runs in a process of its own and only proposes (runtime/sandbox).
On failure: without snapshots or database it enters nothing; exits do not depend on it.
On restart: attempts, entries and the spike alert come back from the database.
"""
