"""`/api/dictionary`: how names and rare words are read. HTTP layer."""

from __future__ import annotations

from fastapi import APIRouter, Response

from backend.api.deps import ServicesDep
from backend.api.errors import BODY_STATUSES, NOT_FOUND, problems
from backend.models.codes import ErrorCode
from backend.models.dictionary import DictionaryEntryView, DictionaryList, DictionaryPut

router = APIRouter(prefix="/dictionary", tags=["dictionary"])


@router.get("")
async def list_dictionary(services: ServicesDep) -> DictionaryList:
    """All terms with their readings, newest first."""
    return await services.texts.dictionary.all()


# A term may hold a slash: AC/DC.
@router.put("/{term:path}", responses=problems(ErrorCode.RATE_LIMITED, statuses=BODY_STATUSES))
async def put_term(services: ServicesDep, term: str, body: DictionaryPut) -> DictionaryEntryView:
    """Add a term, or change how it is read."""
    return await services.texts.dictionary.put(term, body)


@router.delete("/{term:path}", status_code=204, responses=problems(statuses=NOT_FOUND))
async def delete_term(services: ServicesDep, term: str) -> Response:
    """Forget a term."""
    await services.texts.dictionary.delete(term)
    return Response(status_code=204)
