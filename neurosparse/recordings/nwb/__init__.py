"""A recording: an open NWB file that says what it holds and gives populations.

A path, a URL or a pynwb object enters, populations leave. This room only chooses what is meant; reading, counting and
labelling are in the others.
"""

from neurosparse.recordings.nwb.recording import Recording, open_nwb

__all__ = ["Recording", "open_nwb"]
