import RecurrentNetwork

/// A .keras archive or a .weights.h5 file.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzKeras(_ data: UnsafePointer<UInt8>, _ size: Int) -> Int32 {
    let input = bytes(data, size)
    return checkModel { () throws(ModelFileError) in try KerasFile.readModel(input, options: .init(betweenActivations: [.relu])) }
}
