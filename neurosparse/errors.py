"""What can go wrong, by name. Every error is also the built-in it is a case of, so old handlers still catch it.

Any room may import this one; it imports nothing.
"""


class NeurosparseError(Exception):
    """Base of all errors raised on purpose by neurosparse."""


class InputError(NeurosparseError, ValueError):
    """An argument has the wrong dims, shape, labels or values."""


class FileError(NeurosparseError, OSError):
    """A file is missing, unreadable, too old or holds nothing that can be loaded."""


class MissingError(NeurosparseError, KeyError):
    """A named table, series, layer or coordinate does not exist."""

    def __str__(self) -> str:
        # KeyError prints the repr of its argument, which would put the message in quotes.
        return str(self.args[0]) if self.args else ""


class DependencyError(NeurosparseError, ImportError):
    """An optional package is needed and not installed."""


class EvidenceError(NeurosparseError, ValueError):
    """These data cannot carry the claim, and ``strict=True`` asked for an error where there is a warning."""


class NeurosparseWarning(UserWarning):
    """Base of all warnings issued by neurosparse."""


class DataWarning(NeurosparseWarning):
    """Something in the data was dropped, assumed or is suspect; the message counts it."""


class EvidenceWarning(NeurosparseWarning):
    """The result stands, but these data cannot carry the claim a reader might make of it."""


class ConvergenceWarning(NeurosparseWarning):
    """A solver stopped before it met its tolerance; the message says by how much."""
