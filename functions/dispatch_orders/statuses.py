"""The statuses of an order."""

from enum import StrEnum


class OrderStatus(StrEnum):
    """What became of an order."""

    NEW = "new"  # no plan has read it
    WAITING = "waiting"  # `reason` says for what
    ASSIGNED = "assigned"  # on the route of a courier
    DELIVERED = "delivered"
    CANCELLED = "cancelled"
    REFUSED = "refused"  # `reason` says why; nobody will plan it


OPEN = (OrderStatus.NEW, OrderStatus.WAITING, OrderStatus.ASSIGNED)
