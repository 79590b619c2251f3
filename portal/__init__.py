"""Where people answer: provider webhooks, the borrower's page; desks later (FastAPI)."""
