/// What can go wrong with a simulated sensor or machine.
public enum FaultKind: String, CaseIterable, Sendable, Hashable {
    /// One to three readings far away from the others.
    case spike
    /// A step up or down that stays for hours.
    case levelShift = "level_shift"
    /// The sensor repeats its last value.
    case stuck
    /// The sensor wanders away over a day or two, then is put right.
    case slowDrift = "slow_drift"
    /// The machine's own cycle (burner, compressor, level control) runs faster or slower.
    case frequencyChange = "frequency_change"
    /// Day and night look alike: the demand stays at its mean.
    case lostRhythm = "lost_rhythm"
    /// The sensor becomes noisy for some hours.
    case noiseBurst = "noise_burst"
    /// No readings of this stream at all.
    case dropout

    /// Kinds from `all`, `none` or a comma-separated list of names.
    public static func list(_ text: String) throws(SimulationError) -> [FaultKind] {
        switch text {
        case "all": return allCases
        case "none", "": return []
        default: break
        }
        var kinds: [FaultKind] = []
        for name in text.split(separator: ",") {
            guard let kind = FaultKind(rawValue: String(name)) else {
                let names = allCases.map(\.rawValue).joined(separator: ", ")
                throw .setting(name: "faults", got: "'\(name)'", expected: "all, none or a list of \(names)")
            }
            if !kinds.contains(kind) { kinds.append(kind) }
        }
        return kinds
    }
}
