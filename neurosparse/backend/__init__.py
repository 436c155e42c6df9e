"""The shared backend: arrays in, arrays out (numpy, scipy, scikit-learn, numba, torch).

No xarray, no files, no progress bars: below the front doors nothing knows whether its neurons are biological.
"""
