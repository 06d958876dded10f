"""What is said of a process that died."""

import pytest

from omrig.supervisor.child import Child

IMPORT_ERROR = """\
/x/eventlet.py:3: DeprecationWarning: Eventlet is deprecated.
  import eventlet
Traceback (most recent call last):
  File "/x/process.py", line 3, in <module>
    import oslo_messaging
    ^^^^^^^^^^^^^^^^^^^^^
ModuleNotFoundError: No module named 'oslo_messaging'
"""

CHAINED = """\
Traceback (most recent call last):
  File "/x.py", line 1, in f
KeyError: 'first'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/x.py", line 2, in g
ValueError: second

/x/y.py:3: ResourceWarning: unclosed
  sock = None
"""


@pytest.mark.parametrize(
    ("log", "words"),
    [
        (IMPORT_ERROR, "ModuleNotFoundError: No module named 'oslo_messaging'"),
        (CHAINED, "ValueError: second"),
        ("one\nSegmentation fault\n", "Segmentation fault"),
        ("Traceback (most recent call last):\n  cut off", "  cut off"),
        ("", "no output"),
        (None, "no output"),
    ],
)
def test_the_last_words_are_the_exception(tmp_path, log, words):
    child = Child.__new__(Child)
    child._log = tmp_path / "log.txt"
    if log is not None:
        child._log.write_text(log)
    assert child.last_words() == words
