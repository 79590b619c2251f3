"""Hypothesis: no deadline per example, because the first one pays for imports and the machine is shared."""

from hypothesis import settings

settings.register_profile("house", deadline=None)
settings.load_profile("house")
