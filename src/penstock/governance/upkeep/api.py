"""The routes of upkeep."""

from penstock.core.identity import Role
from penstock.core.routes import Route
from penstock.governance.upkeep.service import UpkeepService

ROUTES = [
    Route("GET", "/objects/references", UpkeepService.list_references, needs=Role.READER),
    Route("POST", "/upkeep/database", UpkeepService.get_database_id, needs=Role.CONTRIBUTOR),
    Route("POST", "/upkeep/collection", UpkeepService.begin_collection, needs=Role.ADMIN),
    Route("POST", "/upkeep/collection/end", UpkeepService.end_collection, needs=Role.ADMIN),
]
