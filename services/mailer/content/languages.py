"""The languages of e-mails: numbers, dates, plurals, and why images failed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from services.common.domain.errors import Reason
from services.common.domain.languages import plural_form
from services.mailer.content.email_content import FailedImage

_NO_BREAK_SPACE = "\u00a0"


@dataclass(frozen=True, kw_only=True)
class LanguageRules:
    """The rules of a language that templates cannot express."""

    code: str
    thousands: str
    short_date: Callable[[datetime], str]
    """Format a day where there is little room."""
    months: tuple[str, ...]
    """As written in a date, from January on."""
    explain: Callable[[FailedImage], str]
    """Return why an image failed, as a sentence without its full stop."""

    def number(self, number: int) -> str:
        """Format a number with its thousands separated."""
        return f"{number:,}".replace(",", self.thousands)

    def count(self, number: int, *forms: str) -> str:
        """Format a number with a noun, of which all forms are given."""
        return f"{self.number(number)} {self.form(number, *forms)}"

    def form(self, number: int, *forms: str) -> str:
        """Return the form of a noun that goes with a number: of one, (few) and many."""
        index = ("one", "few", "many").index(plural_form(self.code, number))
        return forms[min(index, len(forms) - 1)]

    def day(self, time: datetime) -> str:
        """Format a day."""
        return f"{time.day} {self.months[time.month - 1]} {time.year}"

    def stamp(self, time: datetime) -> str:
        """Format a time in UTC where there is little room, as in a subject."""
        return f"{self.short_date(time)}, {time:%H:%M} UTC"

    def moment(self, time: datetime) -> str:
        """Format a time, which is in UTC."""
        return f"{self.day(time)}, {time:%H:%M} UTC"


def _explain_in_english(image: FailedImage) -> str:
    sentence = " ".join(image.message.split())[:300].rstrip(".")
    return sentence[:1].upper() + sentence[1:] if sentence.isprintable() and sentence else _ENGLISH[image.reason]


def _explain_in_russian(image: FailedImage) -> str:
    return _RUSSIAN[image.reason]


_ENGLISH: Mapping[Reason, str] = {
    Reason.NOT_AN_IMAGE: "The file is not an image",
    Reason.UNSUPPORTED: "Unsupported format",
    Reason.CORRUPT: "The file is damaged or incomplete",
    Reason.TOO_LARGE: "The image is too large",
    Reason.TIMED_OUT: "Blurring the image took too long",
    Reason.CRASHED: "The image crashed the worker repeatedly",
    Reason.SOURCE_UNAVAILABLE: "The image could not be fetched from its source",
    Reason.SOURCE_REFUSED: "The image may not be fetched from its source",
    Reason.TARGET_UNAVAILABLE: "The result could not be written to the order's target",
    Reason.INTERNAL: "Internal error; the image itself may be fine: try it again",
}
_RUSSIAN: Mapping[Reason, str] = {
    Reason.NOT_AN_IMAGE: "Файл не является изображением",
    Reason.UNSUPPORTED: "Формат не поддерживается",
    Reason.CORRUPT: "Файл повреждён или неполон",
    Reason.TOO_LARGE: "Изображение слишком большое",
    Reason.TIMED_OUT: "Размытие заняло слишком много времени",
    Reason.CRASHED: "Обработка изображения несколько раз завершилась сбоем",
    Reason.SOURCE_UNAVAILABLE: "Не удалось загрузить изображение из источника",
    Reason.SOURCE_REFUSED: "Загрузка из этого источника не разрешена",
    Reason.TARGET_UNAVAILABLE: "Не удалось записать результат в указанное место",
    Reason.INTERNAL: "Внутренняя ошибка; само изображение, возможно, в порядке: попробуйте ещё раз",
}
RULES: Mapping[str, LanguageRules] = {
    "en": LanguageRules(
        code="en",
        thousands=",",
        short_date=lambda time: f"{time.day} {time:%b} {time.year}",
        months=tuple(
            "January February March April May June July August September October November December".split()  # noqa: SIM905
        ),
        explain=_explain_in_english,
    ),
    "ru": LanguageRules(
        code="ru",
        thousands=_NO_BREAK_SPACE,
        short_date=lambda time: f"{time:%d.%m.%Y}",
        months=tuple(
            "января февраля марта апреля мая июня июля августа сентября октября ноября декабря".split()  # noqa: SIM905
        ),
        explain=_explain_in_russian,
    ),
}
