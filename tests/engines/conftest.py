"""Before any engine is imported: no network, and one thread for tiny tensors."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"
