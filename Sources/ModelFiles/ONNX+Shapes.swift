import RecurrentNetwork

/// Nodes that only move values: transpose, squeeze, reshape, slice, gather, concatenate.
extension ONNXInterpreter {
    func transpose(_ node: ONNXGraph.Node, _ signal: ONNXSignal) throws(ModelFileError)
        -> ONNXSignal
    {
        let order = node.integers("perm") ?? Array(signal.axes.indices.reversed())
        guard order.sorted() == Array(signal.axes.indices) else {
            throw refuse(node, "got perm \(order) for \(signal.axes.count) axes")
        }
        var out = signal
        out.axes = order.map { signal.axes[$0] }
        return out
    }

    func squeeze(_ node: ONNXGraph.Node, _ signal: ONNXSignal, _ argument: ONNXGraph.Tensor?)
        throws(ModelFileError) -> ONNXSignal
    {
        let count = signal.axes.count
        let given = (node.integers("axes") ?? argument?.integers)?.map { $0 < 0 ? $0 + count : $0 }
        let gone = given ?? signal.axes.indices.filter { signal.axes[$0] == .one }
        for axis in gone {
            guard signal.axes.indices.contains(axis) else {
                throw refuse(node, "got axis \(axis) of \(count)")
            }
            switch signal.axes[axis] {
            case .one, .batch, .input: continue
            default:
                throw refuse(node, "got a squeeze of the \(signal.axes[axis]) axis, expected one of size 1")
            }
        }
        var out = signal
        out.axes = signal.axes.enumerated().filter { !gone.contains($0.offset) }.map(\.element)
        return out
    }

    func unsqueeze(
        _ node: ONNXGraph.Node, _ signal: ONNXSignal, _ argument: ONNXGraph.Tensor?
    ) throws(ModelFileError) -> ONNXSignal {
        let axes = node.integers("axes") ?? argument?.integers ?? []
        var out = signal
        for axis in axes.map({ $0 < 0 ? $0 + signal.axes.count + axes.count : $0 }).sorted() {
            guard axis >= 0, axis <= out.axes.count else { throw refuse(node, "got axis \(axis)") }
            out.axes.insert(.one, at: axis)
        }
        return out
    }

    func reshape(_ node: ONNXGraph.Node, _ signal: ONNXSignal, _ shape: ONNXValue?)
        throws(ModelFileError) -> ONNXSignal
    {
        let rank: Int? =
            switch shape {
            case .constant(let tensor): tensor.integers.count
            case .opaque(_, let count): count
            default: nil
            }
        guard let rank, rank > 0 else { throw refuse(node, "got a shape of unknown length") }
        var out = signal
        while out.axes.count > rank, let one = out.axes.firstIndex(of: .one) {
            out.axes.remove(at: one)
        }
        let isFeatureLast = { (axes: [ONNXSignal.Axis]) in
            switch axes.last {
            case .feature, .input: true
            default: false
            }
        }
        if out.axes.count > rank {
            guard rank == 2, isFeatureLast(out.axes), let last = out.axes.last else {
                throw refuse(
                    node,
                    "got a reshape from axes \(signal.axes) to \(rank), which mixes time, batch and features")
            }
            out.axes = [.merged, last]
        } else if out.axes.count < rank {
            guard out.axes.first == .merged, rank == 3 else {
                guard rank == signal.axes.count + 1 else {
                    throw refuse(node, "got a reshape from axes \(signal.axes) to \(rank)")
                }
                out.axes.insert(.one, at: 0)
                return out
            }
            out.axes = [.batch, .time] + out.axes.suffix(1)
        }
        return out
    }

    func slice(_ node: ONNXGraph.Node, _ signal: ONNXSignal, _ arguments: [ONNXGraph.Tensor?])
        throws(ModelFileError) -> ONNXSignal
    {
        guard let cuts = SliceArguments(node, arguments, rank: signal.axes.count) else {
            throw refuse(node, "got bounds that are not constant")
        }
        var out = signal
        for cut in cuts.cuts {
            guard cut.step == 1 else {
                throw refuse(node, "got step \(cut.step), expected 1 (no reversed or thinned time)")
            }
            let isWhole = cut.start == 0 && cut.end >= Int(Int32.max)
            switch signal.axes[cut.axis] {
            case .one where cut.start <= 0: continue
            case _ where isWhole: continue
            case .time, .input:
                if cut.start == -1, cut.end >= Int(Int32.max) {
                    guard signal.axes[cut.axis] == .time else {
                        throw refuse(node, "got a cut of the input axis \(cut.axis)")
                    }
                } else if (0..<Int(Int32.max)).contains(cut.start), cut.end == cut.start + 1, out.time == nil {
                    out.time = cut.start
                } else {
                    throw refuse(node, "got readings \(cut.start)..<\(cut.end), expected all or the last")
                }
                out.axes[cut.axis] = .one
            default: throw refuse(node, "got a cut of the \(signal.axes[cut.axis]) axis")
            }
        }
        out.moveTimeIntoTerms()
        return out
    }

    func gather(_ node: ONNXGraph.Node, _ signal: ONNXSignal, _ indices: ONNXGraph.Tensor?)
        throws(ModelFileError) -> ONNXSignal
    {
        let raw = node.integer("axis") ?? 0
        let axis = raw < 0 ? raw + signal.axes.count : raw
        guard let indices, indices.integers.count == 1, signal.axes.indices.contains(axis) else {
            throw refuse(node, "got indices that are not one constant")
        }
        let index = indices.integers[0]
        var out = signal
        switch signal.axes[axis] {
        case .one:
            guard index == 0 || index == -1 else {
                throw refuse(node, "got index \(index) of an axis of size 1")
            }
        case .time where index == -1: break
        case .time, .input:
            guard (0..<Int(Int32.max)).contains(index), out.time == nil else {
                throw refuse(node, "got index \(index) of the \(signal.axes[axis]) axis")
            }
            out.time = index
        default: throw refuse(node, "got one element of the \(signal.axes[axis]) axis")
        }
        if indices.shape.isEmpty { out.axes.remove(at: axis) } else { out.axes[axis] = .one }
        out.moveTimeIntoTerms()
        return out
    }

    func pick(_ node: ONNXGraph.Node, _ parts: [ONNXSignal], _ inputs: [ONNXValue])
        throws(ModelFileError) -> ONNXValue
    {
        guard case .constant(let indices)? = inputs.dropFirst().first, indices.integers.count == 1,
            (node.integer("axis") ?? 0) == 0
        else {
            throw refuse(node, "got indices that are not one constant")
        }
        let index = indices.integers[0] < 0 ? indices.integers[0] + parts.count : indices.integers[0]
        guard parts.indices.contains(index) else {
            throw refuse(node, "got index \(indices.integers[0]) of \(parts.count) layers")
        }
        var out = parts[index]
        if indices.shape.isEmpty { out.axes.removeFirst() }
        return .signal(out)
    }

    mutating func concatenate(_ node: ONNXGraph.Node, _ inputs: [ONNXValue])
        throws(ModelFileError) -> ONNXValue
    {
        var parts: [ONNXSignal] = []
        for input in inputs {
            switch input {
            case .signal(let signal): parts.append(signal)
            case .stack(let signals): parts += signals
            default: throw refuse(node, "got readings joined with constants")
            }
        }
        guard let first = parts.first else { throw refuse(node, "got nothing to join") }
        if parts.count == 1 { return .signal(first) }
        let raw = node.integer("axis") ?? 0
        let axis = raw < 0 ? raw + first.axes.count : raw
        guard first.axes.indices.contains(axis) else { throw refuse(node, "got axis \(raw)") }
        if case .values(.step(let cell, 0)) = first.content {
            for (time, part) in parts.enumerated() {
                guard case .values(.step(cell, time)) = part.content else {
                    throw refuse(node, "got steps out of order")
                }
            }
            guard parts.count == unrolled[cell].steps else {
                throw refuse(node, "got \(parts.count) of \(unrolled[cell].steps) steps")
            }
            var out = ONNXSignal(.layer(depth: try close(cell, node)), axes: first.axes)
            if first.axes[axis] == .one {
                out.axes[axis] = .time
            } else if axis == 0, first.axes.count == 2 {
                out.axes.insert(.time, at: 0)  // a zero initial state leaves no trace of the axis that it had in the graph
            } else {
                throw refuse(node, "got steps joined along the \(first.axes[axis]) axis")
            }
            return .signal(out)
        }
        guard axis == 0, first.axes.first == .one else {
            throw refuse(node, "got a join of network values along axis \(axis)")
        }
        return .stack(parts)
    }

    // MARK: arithmetic
}
