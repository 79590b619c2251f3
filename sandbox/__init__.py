"""A stand-in for the outside world on loopback: Twilio's and FCM's wire protocols and a town of simulated borrowers.

An honest outsider: it imports nothing of tideover, decides nothing for it, never reads its ids, and answers from its
own hidden state. `python -m sandbox --help`; docs/sandbox.md says how to use it, docs/town.md what the town does.
"""
