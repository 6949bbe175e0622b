import RecurrentNetwork

/// A safetensors file: header and tensors.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzSafetensors(_ data: UnsafePointer<UInt8>, _ size: Int) -> Int32 {
    let input = bytes(data, size)
    return checkModel { () throws(ModelFileError) in try Safetensors.readModel(input, options: .init(betweenActivations: [.relu])) }
}
