import Testing

@testable import Watching

@Suite("Kept facts without gaps")
struct PaddingTests {
    /// Bytes of a value that belong to a stored property.
    private func usedBytes(_ value: Any) -> Int {
        func size<Value>(_: Value) -> Int { MemoryLayout<Value>.size }
        let children = Mirror(reflecting: value).children
        return children.isEmpty ? size(value) : children.reduce(0) { $0 + usedBytes($1.value) }
    }

    @Test("What is stored byte for byte beside learned state has no bytes that nobody sets")
    func stored() {
        #expect(usedBytes(StreamExtra()) == MemoryLayout<StreamExtra>.size)
        #expect(usedBytes(ChannelExtra()) == MemoryLayout<ChannelExtra>.size)
        #expect(usedBytes(StreamMoment()) == MemoryLayout<StreamMoment>.stride)
    }
}
