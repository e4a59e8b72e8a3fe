"""OperatorService: texts of e-mails."""

import json
from collections.abc import Mapping

from imageblur.v1 import operator_newsletter_pb2 as pb
from sqlalchemy.orm import Session

from services.common.db.access import audit
from services.common.db.mail import custom_texts
from services.common.db.models import CustomText
from services.common.domain.errors import FailedPrecondition, InvalidArgument, Violation
from services.common.domain.languages import LANGUAGES
from services.common.infra.messaging.messages import OperatorJobKind
from services.gateway.operator.base import Context, OperatorBase
from services.gateway.rpc.callers import audit_context
from services.gateway.rpc.fields import parse_locale
from services.gateway.rpc.timestamps import timestamp

MAX_CHARACTERS = 50_000
_SUBJECT = "emails/texts/"


class TextServicer(OperatorBase):
    """The RPCs of the texts of e-mails."""

    async def ListEmailTexts(self, request: pb.ListEmailTextsRequest, context: Context) -> pb.ListEmailTextsResponse:
        """List the texts that operators may replace."""
        answer = await self.jobs.run(None, OperatorJobKind.LIST_TEXTS)
        stored = {row.name: row for row in await self.read(custom_texts.list_all)}
        texts = [
            _stored_message(stored[it["name"]])
            if it["name"] in stored
            else pb.EmailText(
                name=it["name"], text=it["text"], source=pb.EmailTextSource.Value(f"EMAIL_TEXT_SOURCE_{it['source']}")
            )
            for it in answer["texts"]
        ]
        return pb.ListEmailTextsResponse(texts=texts)

    async def SetEmailText(self, request: pb.SetEmailTextRequest, context: Context) -> pb.SetEmailTextResponse:
        """Replace a text."""
        name, text, author = request.name, request.text.replace("\r\n", "\n"), audit_context()
        revision = request.revision if request.HasField("revision") else None
        await self._preview(*_parse_name(name), {name: text})

        def store(session: Session) -> CustomText:
            stored = custom_texts.set_text(session, name, text, by=author.principal, revision=revision)
            if stored is None:
                message = "the text was changed meanwhile: load it again"
                raise FailedPrecondition("TEXT_CHANGED", f"{_SUBJECT}{name}", message)
            audit.record(session, author, f"{_SUBJECT}{name}", revision=stored.revision)
            return stored

        return pb.SetEmailTextResponse(text=_stored_message(await self.write(store)))

    async def ResetEmailText(self, request: pb.ResetEmailTextRequest, context: Context) -> pb.ResetEmailTextResponse:
        """Use the file or the default again."""
        _parse_name(request.name)
        author = audit_context()

        def reset(session: Session) -> bool:
            found = custom_texts.delete_text(session, request.name)
            if found:
                audit.record(session, author, f"{_SUBJECT}{request.name}")
            return found

        return pb.ResetEmailTextResponse(reset=await self.write(reset))

    async def PreviewEmail(self, request: pb.PreviewEmailRequest, context: Context) -> pb.PreviewEmailResponse:
        """Render an e-mail with sample values."""
        answer = await self._preview(request.email, parse_locale(request.locale), request.texts)
        return pb.PreviewEmailResponse(subject=answer["subject"], text=answer["text"], html=answer["html"])

    async def _preview(self, email: str, locale: str, texts: Mapping[str, str]) -> Mapping[str, str]:
        for name, text in texts.items():
            if len(text) > MAX_CHARACTERS:
                raise InvalidArgument(Violation("texts", f"{name}: must be at most {MAX_CHARACTERS:,} characters"))
        kind = OperatorJobKind.PREVIEW_EMAIL
        return await self.jobs.run(None, kind, email=email, locale=locale, texts=json.dumps(dict(texts)))


def _parse_name(name: str) -> tuple[str, str]:
    """Return the e-mail and the language of a text's name; a mailer knows whether there is such a text."""
    parts = name.split("/")
    if len(parts) != 3 or parts[1] not in LANGUAGES:
        raise InvalidArgument(Violation("name", "must be the name of a text, such as goodbye/en/body.txt"))
    return parts[0], parts[1]


def _stored_message(row: CustomText) -> pb.EmailText:
    return pb.EmailText(
        name=row.name,
        text=row.text,
        source=pb.EMAIL_TEXT_SOURCE_STORED,
        revision=row.revision,
        update_time=timestamp(row.updated_at),
        updated_by=row.updated_by,
    )
