"""Which features a code superposes: sparse codes, the dictionary learner, and what tells a dictionary from noise.

Populations, arrays or tensors enter; codes of the same kind, fitted estimators and Datasets leave. Imports
``population``, ``errors`` and the backend.
"""

from neurosparse.sparse_coding.assessing import dictionary_stability
from neurosparse.sparse_coding.baselines import Baseline
from neurosparse.sparse_coding.coding import certify_codes, sparse_encode, sparse_encode_csr
from neurosparse.sparse_coding.evidence import surrogate_test
from neurosparse.sparse_coding.foreseeing import recoverability
from neurosparse.sparse_coding.learning import DictionaryLearning
from neurosparse.sparse_coding.recovering import code_recovery, dictionary_recovery
from neurosparse.sparse_coding.selecting import select_dictionary

__all__ = [
    "Baseline",
    "DictionaryLearning",
    "certify_codes",
    "code_recovery",
    "dictionary_recovery",
    "dictionary_stability",
    "recoverability",
    "select_dictionary",
    "sparse_encode",
    "sparse_encode_csr",
    "surrogate_test",
]
