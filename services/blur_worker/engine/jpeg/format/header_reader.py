"""All headers of a file, up to the entropy-coded data of each of its scans."""

from dataclasses import dataclass, field

from services.blur_worker.engine.jpeg.format.frame import FrameHeader, frame_header
from services.blur_worker.engine.jpeg.format.markers import UNSUPPORTED, Marker, UnsupportedJpeg, segments
from services.blur_worker.engine.jpeg.format.scan_header import ScanHeader, scan_header
from services.blur_worker.engine.jpeg.format.tables import (
    HuffmanTable,
    QuantizationTable,
    huffman_tables,
    quantization_tables,
)


@dataclass
class HeaderReader:
    """A file that is read from scan to scan, with the tables in force (T.81, figures E.6 and E.7)."""

    data: bytes
    frame: FrameHeader | None = None
    counts: tuple[int, ...] = (1, 3)
    """Numbers of components that are read; others are unusual."""
    frame_at: int = 0
    """Where the marker of the frame header is."""
    quantization: dict[int, QuantizationTable] = field(default_factory=dict)
    """By number, as they were defined last."""
    component_quantization: dict[int, QuantizationTable] = field(default_factory=dict)
    """Quantization table of each component, as it was when its first scan began."""
    _huffman: tuple[dict[int, HuffmanTable], dict[int, HuffmanTable]] = field(default_factory=lambda: ({}, {}))
    """DC and AC tables, by number."""
    _restart_interval: int = 0

    def first_scan(self) -> tuple[FrameHeader, ScanHeader]:
        """Read the headers up to the first scan.

        Raises:
            UnsupportedJpeg: They are unusual or damaged, or there is no scan.
        """
        if self.data[:2] != bytes([0xFF, Marker.SOI]):
            raise UnsupportedJpeg("no SOI")
        scan = self.next_scan(2)
        if scan is None or self.frame is None:
            raise UnsupportedJpeg("no scan")
        return self.frame, scan

    def next_scan(self, at: int) -> ScanHeader | None:
        """Read from the marker at `at` to the next scan; return None at EOI.

        Raises:
            UnsupportedJpeg: Something is unusual or damaged.
        """
        for marker, end, parameters in segments(self.data, at):
            match marker:
                case Marker.EOI:
                    return None
                case Marker.SOS:
                    return self._start_scan(end, parameters)
                case Marker.SOF0 | Marker.SOF1 | Marker.SOF2:
                    if self.frame:
                        raise UnsupportedJpeg("a second frame")
                    self.frame = frame_header(parameters, self.counts, progressive=marker == Marker.SOF2)
                    self.frame_at = end - len(parameters) - 4
                case Marker.DHT:
                    for tc, th, table in huffman_tables(parameters):
                        self._huffman[tc][th] = table
                case Marker.DQT:
                    self.quantization.update(quantization_tables(parameters))
                case Marker.DRI:
                    if len(parameters) != 2:
                        raise UnsupportedJpeg("a malformed restart interval")
                    self._restart_interval = int.from_bytes(parameters, "big")
                case _ if marker in UNSUPPORTED:
                    raise UnsupportedJpeg(f"marker {marker:x}")
        return None

    def _start_scan(self, end: int, parameters: bytes) -> ScanHeader:
        if self.frame is None:
            raise UnsupportedJpeg("a scan without a frame")
        scan = scan_header(end, parameters, self.frame, self._huffman, self._restart_interval)
        for index in scan.components:
            table = self.quantization.get(self.frame.components[index].tq)
            if table is None:
                raise UnsupportedJpeg("a quantization table is missing")
            self.component_quantization.setdefault(index, table)
        return scan
