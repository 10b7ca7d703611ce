"""ogg: files of Ogg Opus, read and written by RFC 3533 and 7845 alone; and frames to put into them."""
import math
import struct
import subprocess
import wave

HZ = 48000
FRAME = 960
SILENCE = b"\xf8\xff\xfe"
HEAD = b"OpusHead" + struct.pack("<BBHIhB", 1, 2, 0, HZ, 0, 0)
TAGS = b"OpusTags" + struct.pack("<I", 0) + struct.pack("<I", 0)
FIRST, LAST = 2, 4  # flags of a page


def _table():
    for byte in range(256):
        crc = byte << 24
        for _ in range(8):
            crc = (crc << 1) ^ (0x04C11DB7 if crc & 0x80000000 else 0)
        yield crc & 0xFFFFFFFF


CRC = list(_table())


def checksum(data):
    crc = 0
    for byte in data:
        crc = (crc << 8) & 0xFFFFFFFF ^ CRC[crc >> 24 ^ byte]
    return crc


def samples(packet):
    """How long an Opus packet sounds (RFC 6716, 3.1)."""
    config, code = packet[0] >> 3, packet[0] & 3
    if config < 12:
        frame = (480, 960, 1920, 2880)[config % 4]
    elif config < 16:
        frame = (480, 960)[config % 2]
    else:
        frame = (120, 240, 480, 960)[config % 4]
    return frame * (1 if code == 0 else 2 if code < 3 else packet[1] & 0x3F)


class Ogg:
    """.packets, each with the sample at which it begins in .at; .length: samples in all. What is skipped is before 0."""

    def __init__(self, data):
        self.packets, self.at, self.pages = [], [], 0
        packets, part, flags, granule = [], b"", 0, 0
        while data:
            assert data[:5] == b"OggS\0", data[:5]
            flags, granule, _, number, crc, n = struct.unpack("<BqIIIB", data[5:27])
            assert number == self.pages and (flags & FIRST != 0) == (number == 0), (number, flags)
            lacing, length = data[27:27 + n], 27 + n + sum(data[27:27 + n])
            page, data = data[:length], data[length:]
            assert checksum(page[:22] + b"\0\0\0\0" + page[26:]) == crc, f"checksum of page {number}"
            at = 27 + n
            for size in lacing:
                part += page[at:at + size]
                at += size
                if size < 255:
                    packets.append(part)
                    part = b""
            self.pages += 1
        assert flags & LAST and not part, "it does not end"
        self.head, self.tags, *self.packets = packets
        skip = struct.unpack("<H", self.head[10:12])[0]
        self.length = granule - skip
        at = -skip
        for packet in self.packets:
            self.at.append(at)
            at += samples(packet)
        assert at - FRAME <= self.length <= at, (at, self.length)

    def said(self):
        """[(sample, packet)] of all that is no silence."""
        return [(at, packet) for at, packet in zip(self.at, self.packets) if packet != SILENCE]


def page(number, packets, granule, flags=0, serial=7):
    lacing = b"".join(b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255]) for packet in packets)
    head = struct.pack("<4sBBqIII", b"OggS", 0, flags, granule, serial, number, 0) + bytes([len(lacing)]) + lacing
    whole = head + b"".join(packets)
    return whole[:22] + struct.pack("<I", checksum(whole)) + whole[26:]


def write(packets):
    """A file of these packets."""
    out, granule = page(0, [HEAD], 0, FIRST) + page(1, [TAGS], 0), 0
    for i in range(0, len(packets), 20):
        part = packets[i:i + 20]
        granule += sum(samples(packet) for packet in part)
        out += page(2 + i // 20, part, granule, LAST if i + 20 >= len(packets) else 0)
    return out


def tone(directory, frames, hertz=440):
    """So many frames of 20 ms of real Opus, by opusenc."""
    wav, opus = directory / f"{hertz}.wav", directory / f"{hertz}.opus"
    with wave.open(str(wav), "wb") as out:
        out.setparams((2, 2, HZ, 0, "NONE", ""))
        sound = (int(9000 * math.sin(i * hertz * math.tau / HZ)) for i in range(frames * FRAME))
        out.writeframes(b"".join(struct.pack("<hh", value, value) for value in sound))
    subprocess.run(["opusenc", "--quiet", "--hard-cbr", "--framesize", "20", wav, opus], check=True)
    return Ogg(opus.read_bytes()).packets[:frames]


def decoded(directory, data):
    """How many samples opusdec makes of a file; and what opusinfo has against it."""
    ogg, wav = directory / "recorded.ogg", directory / "recorded.wav"
    ogg.write_bytes(data)
    subprocess.run(["opusdec", "--quiet", "--force-wav", ogg, wav], check=True)
    with wave.open(str(wav)) as sound:
        length = sound.getnframes()
    info = subprocess.run(["opusinfo", ogg], capture_output=True, text=True, check=False)
    return length, [line for line in (info.stdout + info.stderr).splitlines() if "WARNING" in line or "ERROR" in line]
