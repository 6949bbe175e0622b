/// What flows along an edge of the graph, as far as a recurrent stack needs to know.
indirect enum ONNXValue {
    /// Known numbers.
    case constant(ONNXGraph.Tensor)
    /// Derived from shapes or an initial state; `isZero`: all zeros; `count`: elements if one-dimensional and known.
    case opaque(isZero: Bool, count: Int?)
    /// Readings or what the network made of them.
    case signal(ONNXSignal)
    /// Several last states stacked (h_n of a multi-layer module).
    case stack([ONNXSignal])
}

/// A tensor that depends on the input.
struct ONNXSignal {
    /// What an axis counts.
    enum Axis: Equatable {
        /// Axis of the graph's input whose meaning is not known yet.
        case input(Int)
        case time
        case batch
        case feature
        /// Size one.
        case one
        /// Two axes flattened by Reshape, all but the features.
        case merged
    }

    /// Where values come from: the output of the first `depth` layers, of the first `count` dense layers after them, or one step of a
    /// layer under construction (unrolled Elman).
    enum Source: Equatable {
        case layer(depth: Int)
        case dense(count: Int)
        case step(cell: Int, time: Int)
    }

    /// weights applied to a source: [inputs, outputs] row-major.
    struct Term {
        var source: Source
        /// The single reading taken, nil for all.
        var time: Int?
        var weights: ONNXGraph.Tensor
    }

    enum Content {
        case values(Source)
        case linear([Term], bias: [Float], width: Int)
    }

    var content: Content
    var axes: [Axis]
    /// Set when one index of an axis was cut out: the index.
    var time: Int?

    init(_ source: Source, axes: [Axis], time: Int? = nil) {
        content = .values(source)
        self.axes = axes
        self.time = time
    }

    /// A product taken for all readings at once and cut to one afterwards is the product of that reading.
    mutating func moveTimeIntoTerms() {
        guard let cut = time, case .linear(let terms, let bias, let width) = content else { return }
        content = .linear(
            terms.map { term in
                var term = term
                term.time = term.time ?? cut
                return term
            }, bias: bias, width: width)
        time = nil
    }
}

/// Folding of constants that exporters leave in the graph (weights cut and joined into ONNX's gate order).
enum ONNXFolding {
    /// The result, or nil if the operation is not one of these or does not fit.
    static func fold(_ node: ONNXGraph.Node, _ inputs: [ONNXGraph.Tensor]) -> ONNXGraph.Tensor? {
        guard let first = inputs.first else { return nil }
        var result: ONNXGraph.Tensor?
        switch node.operation {
        case "Identity", "Cast": result = first
        case "Transpose":
            result = transpose(first, node.integers("perm") ?? Array((0..<first.shape.count).reversed()))
        case "Unsqueeze":
            guard var axes = node.integers("axes") ?? inputs.dropFirst().first?.integers else {
                return nil
            }
            axes = axes.map { $0 < 0 ? $0 + first.shape.count + axes.count : $0 }.sorted()
            result = first
            for axis in axes {
                guard axis >= 0, axis <= result?.shape.count ?? 0 else { return nil }
                result?.shape.insert(1, at: axis)
            }
        case "Squeeze":
            let axes = node.integers("axes") ?? inputs.dropFirst().first?.integers
            let gone =
                axes?.map { $0 < 0 ? $0 + first.shape.count : $0 }
                ?? first.shape.indices.filter { first.shape[$0] == 1 }
            guard gone.allSatisfy({ first.shape.indices.contains($0) && first.shape[$0] == 1 }) else {
                return nil
            }
            result = first
            result?.shape = first.shape.enumerated().filter { !gone.contains($0.offset) }.map(\.element)
        case "Reshape": result = inputs.count > 1 ? reshape(first, inputs[1].integers) : nil
        case "Concat": result = concatenate(inputs, node.integer("axis") ?? 0)
        case "Slice": result = slice(node, inputs)
        case "Expand": result = inputs.count > 1 ? expand(first, inputs[1].integers) : nil
        case "Mul": result = inputs.count > 1 ? multiply(first, inputs[1]) : nil
        case "Gather":
            result = inputs.count > 1 ? gather(first, inputs[1], node.integer("axis") ?? 0) : nil
        default: return nil
        }
        result?.name = node.outputs.first ?? ""
        return result
    }

    /// Picks elements by a list of source offsets.
    private static func pick(_ tensor: ONNXGraph.Tensor, _ shape: [Int], _ offsets: [Int])
        -> ONNXGraph.Tensor
    {
        var out = ONNXGraph.Tensor(name: tensor.name, shape: shape)
        if tensor.floats.isEmpty {
            out.integers = offsets.map { tensor.integers[$0] }
        } else {
            out.floats = offsets.map { tensor.floats[$0] }
        }
        return out
    }

    private static func strides(_ shape: [Int]) -> [Int] {
        var strides = [Int](repeating: 1, count: shape.count)
        for i in shape.indices.dropLast().reversed() { strides[i] = strides[i + 1] * shape[i + 1] }
        return strides
    }

    /// Offsets of a strided view.
    private static func offsets(_ shape: [Int], _ strides: [Int], start: Int = 0) -> [Int] {
        var list = [start]
        for (size, stride) in zip(shape, strides) {
            list = list.flatMap { base in (0..<size).map { base + $0 * stride } }
        }
        return list
    }

    static func transpose(_ tensor: ONNXGraph.Tensor, _ order: [Int]) -> ONNXGraph.Tensor? {
        guard order.sorted() == Array(tensor.shape.indices) else { return nil }
        let strides = strides(tensor.shape)
        let shape = order.map { tensor.shape[$0] }
        return pick(tensor, shape, offsets(shape, order.map { strides[$0] }))
    }

    private static func reshape(_ tensor: ONNXGraph.Tensor, _ wanted: [Int]) -> ONNXGraph.Tensor? {
        let count = tensor.floats.count + tensor.integers.count
        var shape = wanted.enumerated().map {
            $1 == 0 && $0 < tensor.shape.count ? tensor.shape[$0] : $1
        }
        if let free = shape.firstIndex(of: -1) {
            shape[free] = 1
            guard let known = elementCount(shape), known > 0 else { return nil }
            shape[free] = count / known
        }
        guard elementCount(shape) == count else { return nil }
        var out = tensor
        out.shape = shape
        return out
    }

    /// A single value repeated (initial states).
    private static func expand(_ tensor: ONNXGraph.Tensor, _ shape: [Int]) -> ONNXGraph.Tensor? {
        guard tensor.floats.count == 1, let count = elementCount(shape), count <= 1 << 20 else { return nil }
        return .init(name: "", shape: shape, floats: Array(repeating: tensor.floats[0], count: count))
    }

    /// Integers by one integer (offsets of gates).
    private static func multiply(_ a: ONNXGraph.Tensor, _ b: ONNXGraph.Tensor) -> ONNXGraph.Tensor? {
        let (many, one) = a.integers.count >= b.integers.count ? (a, b) : (b, a)
        guard one.integers.count == 1, many.floats.isEmpty else { return nil }
        var out = many
        out.integers = many.integers.map { $0 &* one.integers[0] }
        return out
    }

    private static func concatenate(_ parts: [ONNXGraph.Tensor], _ axis: Int) -> ONNXGraph.Tensor? {
        guard let first = parts.first else { return nil }
        let axis = axis < 0 ? axis + first.shape.count : axis
        guard first.shape.indices.contains(axis) else { return nil }
        for part in parts {
            guard part.shape.count == first.shape.count, part.floats.isEmpty == first.floats.isEmpty,
                part.shape.indices.allSatisfy({ $0 == axis || part.shape[$0] == first.shape[$0] })
            else { return nil }
        }
        var shape = first.shape
        shape[axis] = parts.reduce(0) { $0 + $1.shape[axis] }
        guard let outer = elementCount(Array(first.shape[..<axis])), let all = elementCount(shape),
            all <= ModelFileLimits.foldedElementsMax
        else { return nil }
        var out = ONNXGraph.Tensor(name: "", shape: shape)
        for o in 0..<outer {
            for part in parts {
                let run = part.shape[axis...].reduce(1, *)
                if part.floats.isEmpty {
                    out.integers += part.integers[o * run..<(o + 1) * run]
                } else {
                    out.floats += part.floats[o * run..<(o + 1) * run]
                }
            }
        }
        return out
    }

    private static func slice(_ node: ONNXGraph.Node, _ inputs: [ONNXGraph.Tensor]) -> ONNXGraph
        .Tensor?
    {
        guard let cuts = SliceArguments(node, inputs.map { $0 }, rank: inputs[0].shape.count) else {
            return nil
        }
        var out = inputs[0]
        for cut in cuts.cuts {
            let size = out.shape[cut.axis]
            guard cut.step == 1 else { return nil }
            let from = min(max(cut.start < 0 ? cut.start &+ size : cut.start, 0), size)
            let to = min(max(cut.end < 0 ? cut.end &+ size : cut.end, from), size)
            let strides = strides(out.shape)
            var shape = out.shape
            shape[cut.axis] = to - from
            out = pick(out, shape, offsets(shape, strides, start: from * strides[cut.axis]))
        }
        return out
    }

    private static func gather(_ tensor: ONNXGraph.Tensor, _ indices: ONNXGraph.Tensor, _ axis: Int)
        -> ONNXGraph.Tensor?
    {
        let axis = axis < 0 ? axis + tensor.shape.count : axis
        guard tensor.shape.indices.contains(axis), indices.shape.count <= 1 else { return nil }
        let size = tensor.shape[axis]
        let wanted = indices.integers.map { $0 < 0 ? $0 &+ size : $0 }
        guard wanted.allSatisfy({ (0..<size).contains($0) }) else { return nil }
        let strides = strides(tensor.shape)
        let before = offsets(Array(tensor.shape[..<axis]), Array(strides[..<axis]))
        let after = offsets(Array(tensor.shape[(axis + 1)...]), Array(strides[(axis + 1)...]))
        guard let all = elementCount([before.count, wanted.count, after.count]), all <= ModelFileLimits.foldedElementsMax else {
            return nil
        }
        let list = before.flatMap { b in
            wanted.flatMap { w in after.map { b + w * strides[axis] + $0 } }
        }
        return pick(
            tensor, Array(tensor.shape[..<axis]) + indices.shape + Array(tensor.shape[(axis + 1)...]),
            list)
    }
}

/// starts, ends, axes, steps of a Slice, from attributes (opset < 10) or constant inputs.
struct SliceArguments {
    var cuts: [(axis: Int, start: Int, end: Int, step: Int)] = []

    /// nil if an argument is not constant or does not fit `rank`.
    init?(_ node: ONNXGraph.Node, _ inputs: [ONNXGraph.Tensor?], rank: Int) {
        func argument(_ name: String, _ index: Int) -> [Int]? {
            node.integers(name) ?? (index < inputs.count ? inputs[index]?.integers : nil)
        }
        guard let starts = argument("starts", 1), let ends = argument("ends", 2),
            starts.count == ends.count
        else { return nil }
        let axes = argument("axes", 3) ?? Array(0..<starts.count)
        let steps = argument("steps", 4) ?? Array(repeating: 1, count: starts.count)
        guard axes.count == starts.count, steps.count == starts.count else { return nil }
        for i in starts.indices {
            let axis = axes[i] < 0 ? axes[i] + rank : axes[i]
            guard (0..<rank).contains(axis) else { return nil }
            cuts.append((axis, starts[i], ends[i], steps[i]))
        }
    }
}
