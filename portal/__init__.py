"""Where people answer: provider webhooks, the borrower's page; desks later (FastAPI)."""

from __future__ import annotations

from starlette.convertors import IntegerConvertor, register_url_convertor


class IdConvertor(IntegerConvertor):
    """A number in an address is an id of the ledger's: with more digits than one can have, the address is none."""

    regex = "[0-9]{1,18}"


# Before any route is made: a route reads this when it is.
register_url_convertor("int", IdConvertor())
