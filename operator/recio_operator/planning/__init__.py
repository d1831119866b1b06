"""The pure middle of the operator: values in, a plan out. No clock, no chance, no I/O.

`account.plan_account(observed, release)` decides for one account, `pool.plan_pool` for a pool; the
shell around this package observes before and acts after.
"""
