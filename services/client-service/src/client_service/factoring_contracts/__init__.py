"""What client and factor agree."""

from client_service.factoring_contracts import api
from servicekit.app import Feature

feature = Feature("factoring contracts", router=api.router)
