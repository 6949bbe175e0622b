/// How one channel of a kind of machine comes about, in the channel's own unit.
///
/// `value = base + load*L + thermal*T + ambient*A + sine*S + square*Q + triangle*R + wander*W + noise*N`, where L is the demand
/// (about 0 to 1, daily and weekly rhythm), T the demand seen through 1.5 h of inertia, A the outdoor temperature in kelvins
/// around its yearly mean, S, Q, R the machine's own cycle (-1 to 1), W autocorrelated noise (20 minutes) and N white noise, both
/// of variance 1. Then limits, then the sensor's quantum.
struct ChannelSpec: Sendable {
    enum Role: Sendable, Equatable {
        case analog
        /// 1 while the machine is on, else 0.
        case state
        /// Sum of the true values of channel `of` over time, per hour.
        case counter(of: Int)
    }

    var name: StaticString
    var base = 0.0
    var load = 0.0
    var thermal = 0.0
    var ambient = 0.0
    var sine = 0.0
    var square = 0.0
    var triangle = 0.0
    var wander = 0.0
    var noise = 0.0
    var low = 0.0
    var high = 1e9
    /// Decimals that are written.
    var decimals = 2
    /// Smallest step in units of the last decimal.
    var quantum = 1
    /// Value while the machine stands still; nil when it does not depend on that.
    var whenOff: Double?
    var role = Role.analog
    /// Machines of one kind differ in their base by up to this share.
    var baseVariation = 0.015
}

/// A kind of machine: its measurement name, its demand over the week, its own cycle and its channels.
struct MachineSpec: Sendable {
    var measurement: StaticString
    var assetPrefix: StaticString
    /// Demand by the hour, 24 values each, Monday to Friday and at the weekend.
    var workday: [Double]
    var weekend: [Double]
    /// Standard deviation of the slow irregular part of the demand.
    var loadNoise: Double
    var cycleSeconds: Double
    /// Share of the cycle that is "on": `duty + dutyLoad * L + dutyAmbient * A`.
    var duty = 0.5
    var dutyLoad = 0.0
    var dutyAmbient = 0.0
    /// Demand below which the machine stands still; nil when it never does.
    var runsAbove: Double?
    var channels: [ChannelSpec]
}

extension MachineSpec {
    /// The plant's kinds of machines, in the order in which streams are made.
    static let catalogue: [MachineSpec] = [pump, boiler, coldRoom, tank, motor, meter]

    private static let waterWorkday: [Double] = [
        0.12, 0.08, 0.06, 0.06, 0.12, 0.34, 0.72, 0.95, 0.88, 0.70, 0.60, 0.58, 0.62, 0.58, 0.52, 0.50, 0.55, 0.68, 0.85, 0.92, 0.78, 0.55,
        0.36, 0.20,
    ]
    private static let waterWeekend: [Double] = [
        0.18, 0.12, 0.08, 0.06, 0.08, 0.14, 0.28, 0.48, 0.72, 0.90, 0.94, 0.86, 0.80, 0.72, 0.64, 0.58, 0.58, 0.66, 0.78, 0.82, 0.70, 0.52,
        0.38, 0.26,
    ]
    private static let heatWorkday: [Double] = [
        0.22, 0.20, 0.20, 0.24, 0.48, 0.82, 1.00, 0.95, 0.82, 0.70, 0.62, 0.56, 0.54, 0.52, 0.52, 0.56, 0.64, 0.74, 0.80, 0.78, 0.66, 0.46,
        0.30, 0.24,
    ]
    private static let heatWeekend: [Double] = [
        0.22, 0.20, 0.20, 0.20, 0.24, 0.36, 0.58, 0.76, 0.82, 0.78, 0.70, 0.64, 0.60, 0.58, 0.58, 0.60, 0.66, 0.74, 0.80, 0.78, 0.68, 0.50,
        0.34, 0.26,
    ]
    private static let shopWorkday: [Double] = [
        0.04, 0.03, 0.03, 0.03, 0.08, 0.34, 0.62, 0.80, 0.76, 0.64, 0.70, 0.82, 0.88, 0.70, 0.60, 0.66, 0.82, 0.96, 0.90, 0.66, 0.34, 0.14,
        0.08, 0.05,
    ]
    private static let shopWeekend: [Double] = [
        0.04, 0.03, 0.03, 0.03, 0.05, 0.12, 0.30, 0.52, 0.72, 0.86, 0.92, 0.90, 0.80, 0.66, 0.52, 0.40, 0.28, 0.20, 0.14, 0.10, 0.08, 0.06,
        0.05, 0.04,
    ]
    private static let shiftWorkday: [Double] = [
        0.00, 0.00, 0.00, 0.00, 0.00, 0.05, 0.70, 0.85, 0.92, 0.78, 0.95, 0.90, 0.62, 0.88, 0.95, 0.90, 0.84, 0.80, 0.66, 0.82, 0.78, 0.60,
        0.04, 0.00,
    ]
    private static let shiftWeekend: [Double] = [
        0.00, 0.00, 0.00, 0.00, 0.00, 0.00, 0.04, 0.50, 0.55, 0.52, 0.56, 0.50, 0.42, 0.04, 0.00, 0.00, 0.00, 0.00, 0.00, 0.00, 0.00, 0.00,
        0.00, 0.00,
    ]
    private static let officeWorkday: [Double] = [
        0.10, 0.09, 0.09, 0.09, 0.11, 0.20, 0.42, 0.70, 0.88, 0.95, 0.98, 0.96, 0.88, 0.94, 0.96, 0.90, 0.78, 0.58, 0.40, 0.28, 0.20, 0.16,
        0.13, 0.11,
    ]
    private static let officeWeekend: [Double] = [
        0.10, 0.09, 0.09, 0.09, 0.09, 0.10, 0.11, 0.13, 0.15, 0.17, 0.18, 0.18, 0.18, 0.17, 0.16, 0.15, 0.14, 0.13, 0.13, 0.12, 0.12, 0.11,
        0.11, 0.10,
    ]

    private static let pump = MachineSpec(
        measurement: "pump", assetPrefix: "p", workday: waterWorkday, weekend: waterWeekend, loadNoise: 0.04, cycleSeconds: 1700,
        channels: [
            ChannelSpec(name: "pressure_bar", base: 5.4, load: -0.7, sine: 0.10, wander: 0.03, noise: 0.02, high: 16),
            ChannelSpec(name: "flow_m3h", base: 14, load: 42, sine: 0.8, wander: 0.8, noise: 0.4, high: 200, decimals: 1),
            ChannelSpec(name: "power_kw", base: 5.5, load: 9.5, sine: 0.2, wander: 0.15, noise: 0.08, high: 60),
            ChannelSpec(name: "vibration_mms", base: 1.6, load: 0.9, wander: 0.08, noise: 0.10, high: 25),
            ChannelSpec(name: "bearing_c", base: 41, thermal: 12, ambient: 0.25, wander: 0.25, noise: 0.1, high: 150, decimals: 1),
        ])

    private static let boiler = MachineSpec(
        measurement: "boiler", assetPrefix: "b", workday: heatWorkday, weekend: heatWeekend, loadNoise: 0.04, cycleSeconds: 2900,
        duty: 0.30, dutyLoad: 0.25, dutyAmbient: -0.006,
        channels: [
            ChannelSpec(
                name: "supply_c", base: 58, load: 14, ambient: -0.35, triangle: -2.4, wander: 0.3, noise: 0.12, high: 110, decimals: 1),
            ChannelSpec(
                name: "return_c", base: 44, thermal: 8, ambient: -0.25, triangle: -0.9, wander: 0.25, noise: 0.1, high: 110, decimals: 1),
            ChannelSpec(name: "pressure_bar", base: 1.72, thermal: 0.16, triangle: -0.015, wander: 0.008, noise: 0.006, high: 4),
            ChannelSpec(name: "gas_m3h", base: 2.2, load: 2.6, square: 2.1, wander: 0.1, noise: 0.05, high: 60),
            ChannelSpec(name: "burner_on", square: 1, decimals: 0, role: .state),
            ChannelSpec(name: "gas_m3", decimals: 2, role: .counter(of: 3)),
        ])

    private static let coldRoom = MachineSpec(
        measurement: "cold_room", assetPrefix: "c", workday: shopWorkday, weekend: shopWeekend, loadNoise: 0.05, cycleSeconds: 2400,
        duty: 0.34, dutyLoad: 0.28, dutyAmbient: 0.005,
        channels: [
            ChannelSpec(
                name: "temperature_c", base: -19.6, load: 1.5, ambient: 0.02, triangle: 0.7, wander: 0.12, noise: 0.05, low: -45, high: 30,
                decimals: 1),
            ChannelSpec(
                name: "humidity_pct", base: 62, load: 11, triangle: 1.5, wander: 1.2, noise: 0.5, high: 100, decimals: 1, quantum: 5),
            ChannelSpec(name: "compressor_a", base: 4.7, load: 0.7, square: 4.1, wander: 0.08, noise: 0.06, high: 40),
            ChannelSpec(name: "suction_bar", base: 1.9, load: 0.18, square: -0.45, wander: 0.03, noise: 0.02, high: 12),
            ChannelSpec(name: "compressor_on", square: 1, decimals: 0, role: .state),
        ])

    private static let tank = MachineSpec(
        measurement: "tank", assetPrefix: "t", workday: waterWorkday, weekend: waterWeekend, loadNoise: 0.04, cycleSeconds: 7600,
        duty: 0.35, dutyLoad: 0.30,
        channels: [
            ChannelSpec(name: "level_pct", base: 66, load: -9, triangle: -13, wander: 0.3, noise: 0.15, high: 100, decimals: 1),
            ChannelSpec(name: "inflow_m3h", base: 9.2, square: 9.0, wander: 0.15, noise: 0.12, high: 60),
            ChannelSpec(name: "outflow_m3h", base: 2.4, load: 11, wander: 0.3, noise: 0.15, high: 60),
            ChannelSpec(
                name: "temperature_c", base: 11.5, thermal: -0.8, ambient: 0.22, wander: 0.06, noise: 0.05, low: -5, high: 60, decimals: 1),
            ChannelSpec(name: "valve_open", square: 1, decimals: 0, role: .state),
        ])

    private static let motor = MachineSpec(
        measurement: "motor", assetPrefix: "m", workday: shiftWorkday, weekend: shiftWeekend, loadNoise: 0.03, cycleSeconds: 2100,
        runsAbove: 0.2,
        channels: [
            ChannelSpec(name: "speed_rpm", base: 1493, load: -24, sine: -3, wander: 1, noise: 1, high: 3600, decimals: 0, whenOff: 0),
            ChannelSpec(name: "current_a", base: 11, load: 27, sine: 2.6, wander: 0.5, noise: 0.3, high: 120, decimals: 1, whenOff: 0.1),
            ChannelSpec(
                name: "winding_c", base: 29, thermal: 46, ambient: 0.6, wander: 0.4, noise: 0.15, high: 200, decimals: 1, quantum: 5),
            ChannelSpec(name: "vibration_mms", base: 1.5, load: 1.3, sine: 0.15, wander: 0.08, noise: 0.1, high: 25, whenOff: 0.05),
            ChannelSpec(name: "running", decimals: 0, role: .state),
            ChannelSpec(name: "run_hours", decimals: 3, role: .counter(of: 4)),
        ])

    private static let meter = MachineSpec(
        measurement: "meter", assetPrefix: "e", workday: officeWorkday, weekend: officeWeekend, loadNoise: 0.03, cycleSeconds: 1500,
        duty: 0.45, dutyLoad: 0.1, dutyAmbient: 0.004,
        channels: [
            ChannelSpec(name: "power_kw", base: 34, load: 118, ambient: 0.5, square: 4.5, wander: 2.2, noise: 1.0, high: 800, decimals: 1),
            ChannelSpec(name: "voltage_v", base: 233.5, load: -3.2, wander: 0.5, noise: 0.25, high: 400, decimals: 1),
            ChannelSpec(name: "frequency_hz", base: 50, wander: 0.012, noise: 0.004, low: 40, high: 60, decimals: 3, baseVariation: 0),
            ChannelSpec(name: "power_factor", base: 0.87, load: 0.08, wander: 0.006, noise: 0.003, high: 1, decimals: 3),
            ChannelSpec(name: "energy_kwh", decimals: 1, role: .counter(of: 0)),
        ])
}
