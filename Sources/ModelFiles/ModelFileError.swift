import RecurrentNetwork

/// Why bytes are not a model this program can run. Reading never traps, whatever the bytes.
public enum ModelFileError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The file ends before what it announces.
    case truncated(object: String, needed: Int, got: Int)
    /// The bytes do not follow the format.
    case malformed(offset: Int, reason: String)
    /// Something is larger than this program accepts.
    case limit(object: String, got: UInt64, max: UInt64)
    /// A tensor has another shape than its place asks for.
    case shape(tensor: String, expected: [Int], got: [Int])
    /// A tensor's element type is not one of F32, F64, F16, BF16.
    case elementType(tensor: String, got: String)
    /// A tensor that the cell needs is not in the file.
    case missing(tensor: String)
    /// A tensor or layer that a stack of recurrent layers and one dense readout has no place for.
    case unexpected(tensor: String, shape: [Int], reason: String)
    /// An operator or setting that this program does not run.
    case unsupported(node: String, reason: String)
    /// More than one reading of the file is possible; an option of `ModelReadOptions` decides.
    case ambiguous(String)
    /// Weights lie in a second file, `location`, that was not given.
    case externalData(tensor: String, location: String)
    /// The assembled model is refused (for example NaN in a weight).
    case network(NetworkError)

    /// One line: what was expected, what was found.
    public var description: String {
        switch self {
        case .truncated(let object, let needed, let got):
            "cannot read \(object): got \(got) bytes, expected \(needed)"
        case .malformed(let offset, let reason): "cannot read the file at byte \(offset): \(reason)"
        case .limit(let object, let got, let max):
            "cannot read \(object): got \(got), expected at most \(max)"
        case .shape(let tensor, let expected, let got):
            "cannot use tensor '\(tensor)': got shape \(got), expected \(expected)"
        case .elementType(let tensor, let got):
            "cannot use tensor '\(tensor)': got type \(got), expected F32, F64, F16 or BF16"
        case .missing(let tensor): "cannot build the model: got no tensor '\(tensor)', expected it"
        case .unexpected(let tensor, let shape, let reason):
            "cannot place tensor '\(tensor)' of shape \(shape): \(reason)"
        case .unsupported(let node, let reason): "cannot run node '\(node)': \(reason)"
        case .ambiguous(let what): "cannot decide: \(what)"
        case .externalData(let tensor, let location):
            "cannot read tensor '\(tensor)': its data is in '\(location)', expected that file beside the model"
        case .network(let error): "\(error)"
        }
    }
}

/// What the bytes do not say.
public struct ModelReadOptions: Sendable, Equatable {
    /// Overrides the cell deduced from the shape of `weight_hh` (rows / columns: 1 Elman, 3 GRU, 4 LSTM).
    public var cell: CellKind?
    /// Elman's nonlinearity; nil: the file's metadata `nonlinearity`, else tanh.
    public var elmanActivation: Activation?
    /// The readout's activation; nil: the file's metadata `readout_activation`, else linear.
    public var readoutActivation: Activation?
    /// Functions after the dense layers before the readout, one for all or one for each; empty: the file's metadata `dense_activations`.
    public var betweenActivations: [Activation]
    /// Take only tensors whose names start with this, when a file holds several recurrent modules.
    public var prefix: String?

    /// All options default to "as the file says".
    public init(
        cell: CellKind? = nil, elmanActivation: Activation? = nil, readoutActivation: Activation? = nil,
        betweenActivations: [Activation] = [], prefix: String? = nil
    ) {
        self.cell = cell
        self.elmanActivation = elmanActivation
        self.readoutActivation = readoutActivation
        self.betweenActivations = betweenActivations
        self.prefix = prefix
    }
}

/// Limits of both formats.
public enum ModelFileLimits {
    /// Largest header of a safetensors file.
    public static let headerBytesMax = 16 << 20
    /// Most elements of one tensor.
    public static let tensorElementsMax = 1 << 28
    /// Most elements of all constants that are computed while a graph is read.
    public static let foldedElementsMax = 1 << 26
    /// Most tensors or nodes of one file.
    public static let itemsMax = 100_000
    /// Deepest nesting of JSON or protobuf messages.
    public static let nestingMax = 32
}

/// `shape` multiplied out, or nil if a dimension is negative or the product exceeds the limit.
func elementCount(_ shape: [Int]) -> Int? {
    var product = 1
    for dimension in shape {
        // Also beside a zero: what is computed of dimensions alone must not overflow.
        guard (0...ModelFileLimits.tensorElementsMax).contains(dimension) else { return nil }
        let (next, overflow) = product.multipliedReportingOverflow(by: dimension)
        guard !overflow, next <= ModelFileLimits.tensorElementsMax else { return nil }
        product = next
    }
    return product
}
