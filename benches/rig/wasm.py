"""What the bench needs to know of a Wasm module: its exports, read and stripped.

The host skips a callback that a module does not export, and the SDK exports all of them, so the
empty filter must export what the real one does, or the floor would be too high or too low.
Format: WebAssembly core specification, 5.5 (binary modules).
"""

EXPORT_SECTION = 7

# What the filter needs, for as long as there is no built filter to ask.
DEFAULT_EXPORTS = {
    "memory",
    "_initialize",
    "proxy_abi_version_0_2_1",
    "proxy_on_memory_allocate",
    "malloc",
    "proxy_on_context_create",
    "proxy_on_delete",
    "proxy_on_vm_start",
    "proxy_on_configure",
    "proxy_on_tick",
    "proxy_on_request_headers",
    "proxy_on_response_headers",
}


def exports(module):
    """Names of a module's exports."""
    for kind, body in _sections(module):
        if kind == EXPORT_SECTION:
            return [name for name, _ in _entries(body)]
    return []


def keep_exports(module, names):
    """The module with only those of its exports."""
    out = bytearray(module[:8])
    for kind, body in _sections(module):
        if kind == EXPORT_SECTION:
            kept = [raw for name, raw in _entries(body) if name in names]
            body = _encode(len(kept)) + b"".join(kept)
        out += bytes([kind]) + _encode(len(body)) + body
    return bytes(out)


def _sections(module):
    if module[:8] != b"\0asm\1\0\0\0":
        raise ValueError("not a WebAssembly module of version 1")
    at = 8
    while at < len(module):
        kind = module[at]
        size, at = _decode(module, at + 1)
        yield kind, module[at : at + size]
        at += size


def _entries(body):
    count, at = _decode(body, 0)
    for _ in range(count):
        start = at
        size, at = _decode(body, at)
        name = body[at : at + size].decode()
        _, at = _decode(body, at + size + 1)
        yield name, body[start:at]


def _decode(data, at):
    """An unsigned LEB128 number, and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return value, at


def _encode(value):
    out = bytearray()
    while True:
        byte = value & 0x7F
        value >>= 7
        out.append(byte | (0x80 if value else 0))
        if not value:
            return bytes(out)
