"""Columns of NWB tables as plain arrays: ragged, bytes, references and row regions told apart.

`Table` and `Column` are what the loaders of this room see, whichever reader made them (`built` through pynwb, `raw`
through h5py alone). Nothing is read before it is asked for.
"""

from neurosparse.recordings.tables.reading import read_region, read_table, sized, stated_resolution
from neurosparse.recordings.tables.stored import Column, Table
from neurosparse.recordings.tables.values import BLANK, RESERVED, name_coords, parse_numbers, plain, stated_number

__all__ = [
    "BLANK",
    "RESERVED",
    "Column",
    "Table",
    "name_coords",
    "parse_numbers",
    "plain",
    "read_region",
    "read_table",
    "sized",
    "stated_number",
    "stated_resolution",
]
