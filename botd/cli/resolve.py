"""`botd resolve`: end an order that needs a person, once that person knows what became of it."""

from __future__ import annotations

from typing import Annotated

import typer

from botd.cli.books import ConfigOption, StateOption, find_books
from botd.cli.output import write

OrderArgument = Annotated[str, typer.Argument(metavar="ORDER_ID", help="The order's client order id.")]
EndedOption = Annotated[
    bool, typer.Option("--ended", help="It is over at the venue, and what is booked is all that it filled.")
]
WhyOption = Annotated[str, typer.Option("--reason", help="How you know; kept with it.")]


def resolve(
    order_id: OrderArgument,
    reason: WhyOption,
    ended: EndedOption = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """End an order that needs a person with what is booked of it: at once, or at the next start.

    A fill cannot be made up: what the order has filled beyond that is booked once the venue shows it.
    """
    from botd.errors import InputInvalid
    from botd.runtime.control import ControlFiles, user
    from botd.store.queries import StateReader

    if not ended:
        raise InputInvalid("say --ended: look at the venue that the order is over there, and then say so")
    path = find_books(state, config)
    with StateReader(path) as reader:
        found = reader.recent_orders(reader.session().id, name=order_id)
    if not found:
        raise InputInvalid(f"the newest session has no order {order_id}")
    (order,) = found
    if not order.needs_human:
        raise InputInvalid(f"order {order_id} is {order.status} and needs nobody")
    files = ControlFiles(path.parent)
    files.ask_resolve(f"{user()} (botd resolve)", reason, order_id)
    write(
        f"asked for: {files.resolve_path} is there until it is done, by the daemon at once or at its next "
        f"start. {order_id} ends with {order.filled_qty} filled\n"
    )
