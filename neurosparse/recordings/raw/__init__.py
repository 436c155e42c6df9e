"""Reading through h5py alone, for files that pynwb cannot build: the extension they use is not installed.

An open HDF5 file enters; the same parts, tables, series and image stacks leave that `built` makes.
"""

from neurosparse.recordings.raw.finding import foreign_namespaces, identity, parts

__all__ = ["foreign_namespaces", "identity", "parts"]
