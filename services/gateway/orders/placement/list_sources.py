"""Lists the files of places that an order takes as its images."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.common.domain.errors import InvalidArgument, Unavailable, Violation
from services.common.domain.places import PlaceKey, matches
from services.common.domain.sources import ImageSource
from services.common.infra.places import ListedFile, Places, PlaceUnavailable
from services.gateway.orders.messages.requests import MAX_FILENAME, ParsedImage, ParsedListing
from services.gateway.rpc.thread_pool import ThreadPool


@dataclass(frozen=True)
class ListedImage:
    """A file that a listing has found."""

    image: ParsedImage
    size: int
    """As listed, in bytes."""
    path: str
    """Its key behind the prefix."""


@dataclass(frozen=True, kw_only=True)
class ListSources:
    """The use case."""

    places: Places
    threads: ThreadPool
    max_image_bytes: int

    async def __call__(self, listings: Sequence[ParsedListing], *, limit: int) -> list[ListedImage]:
        """Return the files of all listings.

        Args:
            listings: Of places that there are.
            limit: Most images.

        Raises:
            InvalidArgument: A listing finds no file, or all together find too many.
            Unavailable: A place cannot be reached.
        """
        found: list[ListedImage] = []
        for listing in listings:
            files = await self.threads.run(self._list, listing, limit - len(found))
            if not files:
                what = f"matches {listing.pattern!r}" if listing.pattern else "is an image by its extension"
                raise InvalidArgument(Violation(f"{listing.field}.prefix", f"has no file that {what}"))
            if len(found) + len(files) > limit:
                raise InvalidArgument(Violation(listing.field, f"has more than the {limit} images that are left"))
            found += [self._image(listing, file) for file in files]
        return found

    def _list(self, listing: ParsedListing, limit: int) -> list[ListedFile]:
        place = self.places.find(listing.place)
        assert place, "checked before"
        begin = len(listing.folder)
        try:
            return place.list_files(listing.folder, lambda key: matches(key[begin:], listing.pattern), limit)
        except PlaceUnavailable as error:
            raise Unavailable(f"{listing.place}: {error}") from None

    @staticmethod
    def _image(listing: ParsedListing, file: ListedFile) -> ListedImage:
        source = ImageSource(file=PlaceKey(place=listing.place, key=file.key))
        image = ParsedImage(field=listing.field, filename=source.filename[:MAX_FILENAME], spec=None, source=source)
        return ListedImage(image, file.size, file.key[len(listing.folder) :])
