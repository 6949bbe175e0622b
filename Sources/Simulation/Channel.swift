/// What drives the channels of one machine at one moment; see ``ChannelSpec`` for the letters.
struct Drive: Sendable {
    var load = 0.0
    var thermal = 0.0
    var ambient = 0.0
    var sine = 0.0
    var square = 0.0
    var triangle = 0.0
    var running = true
}

/// One channel of one machine: its parameters, its noise and its last value.
struct Channel: Sendable {
    let spec: ChannelSpec
    let name: String
    /// `name=`, with a comma before it where it is not the first one.
    let prefix: [UInt8]
    let stepsPerUnit: Double
    var wander: SlowNoise
    /// The irregular part at this moment.
    var irregular = 0.0
    /// Sum of a counter so far.
    var sum = 0.0
    /// Healthy value at this moment, not yet rounded to the sensor's step.
    var value = 0.0
    /// Value that was written last, in units of the last decimal.
    var written: Int64 = 0

    @inline(__always)
    func analog(_ drive: Drive) -> Double {
        if let off = spec.whenOff, !drive.running { return off + 0.1 * irregular }
        let demand = spec.base + spec.load * drive.load + spec.thermal * drive.thermal + spec.ambient * drive.ambient
        let cycle = spec.sine * drive.sine + spec.square * drive.square + spec.triangle * drive.triangle
        return demand + cycle + irregular
    }

    @inline(__always)
    func state(_ drive: Drive) -> Double { (spec.square != 0 ? drive.square > 0 : drive.running) ? 1 : 0 }

    /// `value` within the sensor's limits and rounded to its step, in units of the last decimal.
    @inline(__always)
    func quantised(_ value: Double) -> Int64 {
        let steps = max(spec.low, min(spec.high, value)) * stepsPerUnit
        return Int64(steps + (steps < 0 ? -0.5 : 0.5)) &* Int64(spec.quantum)
    }
}
