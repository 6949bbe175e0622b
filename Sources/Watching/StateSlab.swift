import Glibc

/// Equal blocks of 64-byte aligned memory in chunks that never move: a pointer stays valid until its block is freed.
struct StateSlab: ~Copyable {
    let blockBytes: Int
    private let blocksPerChunk: Int
    private var chunks: [UnsafeMutableRawPointer] = []
    private var free: [UnsafeMutableRawPointer] = []
    private var nextInChunk: Int
    private(set) var used = 0

    init(blockBytes: Int) {
        self.blockBytes = (blockBytes + 63) / 64 * 64
        // Chunks of about 1 MiB: few allocations for many streams, little waste for few.
        blocksPerChunk = max(1, (1 << 20) / max(1, self.blockBytes))
        nextInChunk = blocksPerChunk
    }

    deinit { for chunk in chunks { chunk.deallocate() } }

    mutating func allocate() -> UnsafeMutableRawPointer {
        used += 1
        if let block = free.popLast() { return block }
        if nextInChunk == blocksPerChunk {
            chunks.append(.allocate(byteCount: blockBytes * blocksPerChunk, alignment: 64))
            nextInChunk = 0
        }
        defer { nextInChunk += 1 }
        return chunks[chunks.count - 1] + nextInChunk * blockBytes
    }

    mutating func deallocate(_ block: UnsafeMutableRawPointer) {
        used -= 1
        free.append(block)
    }

    /// Bytes held, used or not.
    var bytes: Int { chunks.count * blocksPerChunk * blockBytes }
}
