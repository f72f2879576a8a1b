"""The routes of deliveries."""

from penstock.core.identity import Role
from penstock.core.routes import Route
from penstock.tracking.deliveries.service import DeliveryService

ROUTES = [
    Route("POST", "/deliveries", DeliveryService.deliver, needs=Role.CONTRIBUTOR),
    Route("GET", "/deliveries/{spool}", DeliveryService.get_delivery, needs=Role.READER),
]
