import Testing

@testable import Detection

/// Bytes of a value that belong to a stored property.
private func usedBytes(_ value: Any) -> Int {
    func size<Value>(_: Value) -> Int { MemoryLayout<Value>.size }
    let children = Mirror(reflecting: value).children
    return children.isEmpty ? size(value) : children.reduce(0) { $0 + usedBytes($1.value) }
}

/// Learned state is stored byte for byte, and equal states must be equal bytes: between the properties of a state there are no bytes that nobody
/// sets.
@Suite("State without gaps")
struct PaddingTests {
    @Test("The scalars of streams and channels have no padding inside")
    func scalars() {
        let stream = StreamScalars<Float>()
        #expect(usedBytes(stream) == MemoryLayout<StreamScalars<Float>>.stride)
        for child in Mirror(reflecting: stream).children { check(child) }
        let channel = ChannelScalars<Float>()
        #expect(usedBytes(channel) == MemoryLayout<ChannelScalars<Float>>.stride)
        for child in Mirror(reflecting: channel).children { check(child) }
        #expect(usedBytes(BudgetPeak()) == MemoryLayout<BudgetPeak>.stride)
        #expect(usedBytes(CalibratorBank<Float>.Sides()) == MemoryLayout<CalibratorBank<Float>.Sides>.stride)
    }

    private func check(_ child: Mirror.Child) {
        func stride<Value>(_: Value) -> Int { MemoryLayout<Value>.stride }
        #expect(usedBytes(child.value) == stride(child.value), "\(child.label ?? "")")
    }
}
