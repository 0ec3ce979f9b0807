"""Revisions that cannot be reverted: one raises, and one has no downgrade()."""

from dbtasks import collection

ns = collection(default_url="sqlite:///shop.db")
