import Glibc

/// Equal blocks of aligned memory in chunks that never move: a pointer stays valid until its block is freed.
///
/// The first chunk is small; later ones ask the kernel for large pages, because with thousands of streams finding a page costs as much as
/// reading it.
struct StateSlab: ~Copyable {
    let blockBytes: Int
    private var chunks: [UnsafeMutableRawPointer] = []
    private var free: [UnsafeMutableRawPointer] = []
    private var next: UnsafeMutableRawPointer?
    private var left = 0
    private(set) var used = 0
    /// Bytes held, used or not.
    private(set) var bytes = 0

    private static let firstBytes = 256 << 10
    private static let largePage = 2 << 20

    /// - Parameter alignment: of a block, at most 64.
    init(blockBytes: Int, alignment: Int = 64) { self.blockBytes = (blockBytes + alignment - 1) / alignment * alignment }

    deinit { for chunk in chunks { chunk.deallocate() } }

    mutating func allocate() -> UnsafeMutableRawPointer {
        used += 1
        if let block = free.popLast() { return block }
        guard left > 0, let block = next else { return grow() }
        left -= 1
        next = block + blockBytes
        return block
    }

    /// A new chunk; returns its first block.
    private mutating func grow() -> UnsafeMutableRawPointer {
        let isFirst = chunks.isEmpty
        let size = isFirst ? max(StateSlab.firstBytes, blockBytes) : max(1, blockBytes / StateSlab.largePage * 2) * StateSlab.largePage
        let chunk = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: isFirst ? 64 : StateSlab.largePage)
        // Only advice: without large pages it is slower, not wrong.
        if !isFirst { _ = madvise(chunk, size, MADV_HUGEPAGE) }
        chunks.append(chunk)
        bytes += size
        left = size / blockBytes - 1
        next = chunk + blockBytes
        return chunk
    }

    mutating func deallocate(_ block: UnsafeMutableRawPointer) {
        used -= 1
        free.append(block)
    }
}
