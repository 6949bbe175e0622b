extension CombinedFusion {
    /// The weights by name, for benches that remove or change one.
    static var names: [(String, WritableKeyPath<CombinedFusion, Double>)] {
        [
            ("record", \.record), ("leakyRecord", \.leakyRecord), ("value", \.value), ("novelty", \.novelty), ("drift", \.drift),
            ("errorLong", \.errorLong), ("age", \.age), ("slowOffset", \.slowOffset), ("spikeErrorLong", \.spikeErrorLong),
            ("spikeNovelty", \.spikeNovelty), ("spikeGated", \.spikeGated), ("spikeOffset", \.spikeOffset), ("levelFive", \.levelFive),
            ("levelShort", \.levelShort), ("levelTwenty", \.levelTwenty), ("levelOffset", \.levelOffset), ("breadthJump", \.breadthJump),
            ("breadthClock", \.breadthClock), ("breadthOffset", \.breadthOffset), ("cadence", \.cadence), ("habit", \.habit),
            ("habitReadings", \.habitReadings), ("slowHabit", \.slowHabit), ("slowHabitReadings", \.slowHabitReadings),
            ("incidentShare", \.incidentShare), ("incidentReadings", \.incidentReadings), ("incidentMargin", \.incidentMargin),
            ("longLimit", \.longLimit), ("jumpLife", \.jumpLife),
        ]
    }
}

extension DetectorProfile {
    /// Sets a weight of the combined rule; false if there is none of that name.
    public mutating func setWeight(_ name: String, to value: Double) -> Bool {
        guard let path = CombinedFusion.names.first(where: { $0.0 == name })?.1 else { return false }
        fusion[keyPath: path] = value
        return true
    }

    /// This profile without each piece in turn, or with less of what has a size; for the combined rule.
    public var ablations: [(name: String, profile: DetectorProfile)] {
        func with(_ change: (inout DetectorProfile) -> Void) -> DetectorProfile {
            var copy = self
            change(&copy)
            return copy
        }
        // A branch that never wins.
        let never = -100.0
        return [
            ("value record", with { ($0.fusion.record, $0.fusion.leakyRecord) = (0, 0) }),
            ("value rank", with { $0.fusion.value = 0 }),
            ("residual drift", with { $0.fusion.drift = 0 }),
            ("slow branch (records, ranks, drift, novelty)", with { $0.fusion.slowOffset = never }),
            ("spike branch (point residual, fast residual, novelty)", with { $0.fusion.spikeOffset = never }),
            ("level branch (local level)", with { $0.fusion.levelOffset = never }),
            ("breadth branch (jump and clock error over channels)", with { $0.fusion.breadthOffset = never }),
            ("state novelty", with { ($0.fusion.novelty, $0.fusion.spikeNovelty) = (0, 0) }),
            ("term for a coarse cadence", with { $0.fusion.cadence = 0 }),
            ("habituation", with { ($0.fusion.habit, $0.fusion.slowHabit) = (0, 0) }),
            ("slow habituation", with { $0.fusion.slowHabit = 0 }),
            ("incidents", with { $0.fusion.incidentShare = 1 }),
            ("long memory of jumps", with { ($0.fusion.longLimit, $0.fusion.jumpLife) = (0, 0) }),
            ("counters by their rate", with { $0.judgesIncrements = false }),
            ("knowledge of states", with { $0.knowsStates = false }),
            ("memory of what follows a switch", with { $0.expectsSwitches = false }),
            ("stuck", with { $0.stuckAlarms = false }),
            (
                "a third of the units (24 left)",
                with { $0.weights = ReservoirWeights(seed: 1, units: 24, noveltyUnits: weights.novelty.units) }
            ),
            ("horizons of 4 and 16", with { $0.horizons = [1] }),
            ("most remembered states (8)", with { $0.prototypes = 8 }),
            (
                "fine calibrators (bins of 0.24)",
                with {
                    $0.rankGrid = HistogramGrid(start: rankGrid.start, width: 0.24, bins: 27)
                    $0.tailGrid = HistogramGrid(start: tailGrid.start, width: 0.24, bins: 23)
                }
            ),
        ]
    }
}
