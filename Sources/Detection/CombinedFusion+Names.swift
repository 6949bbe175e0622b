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
            ("longLimit", \.longLimit),
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
}
