"""Ask each process whether it is ready; print what it says. Exit status 1: one is not."""

import sys
import urllib.error
import urllib.request


def answer(url: str) -> tuple[bool, str]:
    """Return whether a process is ready, and its words."""
    try:
        with urllib.request.urlopen(url + "/readyz", timeout=10) as found:
            return True, found.read().decode()
    except urllib.error.HTTPError as error:
        return False, error.read().decode()
    except OSError as error:
        return False, f"no answer: {error}"


is_ready = True
for url in sys.argv[1:]:
    is_one_ready, words = answer(url)
    is_ready = is_ready and is_one_ready
    print("ready    " if is_one_ready else "NOT READY", url, "" if is_one_ready else words)
sys.exit(0 if is_ready else 1)
