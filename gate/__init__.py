"""The only door to a person: claim, lock, judge again, permit, call, receipt."""
