"""Tests of the embedded Hub with real clients."""
from embedded import hub, server  # noqa: F401
