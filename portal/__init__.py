"""Where people answer: provider webhooks today, pages and desks later (FastAPI)."""
