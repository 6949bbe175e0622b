// swift-tools-version:6.2
import PackageDescription

// The house has floors; imports go downward only and same-floor modules do not know each other.
// `make lint` builds with `--explicit-target-dependency-import-check error`, so a forbidden import does not compile.
//
// floor 5  rnn-watchd   rnnctl   rnn-notify
// floor 4  WatchService   NotifyService   CommandLineTool
// floor 3  Ingest   Watching   Store   Control   Notify
// floor 2  LineFormats   Models   Alerting   Notification   Evaluation   Simulation
// floor 1  Detection   ModelFiles   Configuration
// floor 0  Readings   RecurrentNetwork   Platform   Tabular   Migrations
// ground   TimeSeries (moments, spans and running statistics: pure, used everywhere) and the C targets

// Leaves out what nothing refers to; static Swift brings much of it.
let leanLinking: [LinkerSetting] = [.unsafeFlags(["-Xlinker", "--gc-sections"], .when(configuration: .release))]

// A member of a module that is not imported here does not compile: one `contains` found in Foundation by way of another
// module linked 45 MB of ICU tables into rnnctl.
let ownImportsOnly: [SwiftSetting] = [.enableUpcomingFeature("MemberImportVisibility")]

let kernelFlags: [CSetting] = [.unsafeFlags(["-O3", "-ffp-contract=off"])]

// The hot path's objects have one owner at a time (see ReadingBatch). Debug builds check every access, release builds rely on it.
let ownedHotPath: [SwiftSetting] = [.unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release))]

// What the compiler cannot check stands marked with `unsafe` where it is done: for rooms that read what others send.
let markedUnsafe: [SwiftSetting] = [.strictMemorySafety()]

let package = Package(
    name: "rnn-watchd",
    products: [
        // What the package in gateway/ shares with the daemon.
        .library(name: "Shared", targets: ["Configuration", "Control", "LineFormats", "Platform", "Tabular", "TimeSeries"])
    ],
    dependencies: [
        // Options, help, completions and man pages from one definition.
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
        // TOML with line and column of syntax errors; the alternative was a parser of our own.
        .package(url: "https://github.com/LebJe/TOMLKit", exact: "0.6.0"),
    ],
    targets: [
        // C beneath floor 0
        .systemLibrary(name: "CSQLite", path: "Sources/CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
        .systemLibrary(name: "CSystemd", path: "Sources/CSystemd", pkgConfig: "libsystemd", providers: [.apt(["libsystemd-dev"])]),
        .target(name: "CPlatform"),
        // Correct rounding of the few numbers that the fast path leaves over.
        .target(name: "CNumberText"),
        // SHA-256 of models and CRC-32C of stored rows; small files instead of a cryptographic library.
        .target(name: "CDigest", cSettings: kernelFlags),
        // The detector's kernels: one template, one copy per instruction set, chosen at run time.
        .target(name: "CDetectionKernels", exclude: ["kernels.inc", "both.inc"], cSettings: kernelFlags),
        // Forward and backward kernels of the trained cells, in the same manner.
        .target(name: "CRecurrentKernels", exclude: ["kernel_template.h"], cSettings: kernelFlags),

        // rnn-notify alone: HTTP through libcurl (its options are variadic, hence C), MQTT through libmosquitto (libcurl's has neither retained
        // messages nor a last will).
        .target(name: "CHTTP", linkerSettings: [.linkedLibrary("curl")]),
        .systemLibrary(
            name: "CMosquitto", path: "Sources/CMosquitto", pkgConfig: "libmosquitto", providers: [.apt(["libmosquitto-dev"])]),

        // Pure beneath floor 0
        .target(name: "TimeSeries"),

        // floor 0
        .target(name: "Platform", dependencies: ["CPlatform", "CSystemd", "TimeSeries"]),
        // Real readings of this machine, for `rnnctl sample`.
        .target(name: "MachineSample"),
        .target(name: "RecurrentNetwork", dependencies: ["CRecurrentKernels"]),
        .target(name: "Tabular"),
        .target(name: "Readings", dependencies: ["CDigest", "TimeSeries"], swiftSettings: ownedHotPath),
        .target(
            name: "Migrations", path: "migrations", exclude: ["README.md"], sources: ["Migrations.swift"],
            resources: [
                .embedInCode("0001_initial.sql"), .embedInCode("0002_models.sql"), .embedInCode("0003_running_models.sql"),
                .embedInCode("0004_producers_of_users.sql"),
                .embedInCode("0005_people.sql"),
            ]),

        // floor 1
        .target(name: "Detection", dependencies: ["CDetectionKernels", "TimeSeries"]),
        .target(name: "ModelFiles", dependencies: ["RecurrentNetwork"]),
        .target(name: "Configuration", dependencies: ["TimeSeries", .product(name: "TOMLKit", package: "TOMLKit")]),

        // floor 2
        .target(name: "Alerting", dependencies: ["Detection", "TimeSeries"]),
        // Model files with what they know about their data.
        .target(name: "Models", dependencies: ["CDigest", "ModelFiles", "RecurrentNetwork", "Tabular"]),
        .target(name: "LineFormats", dependencies: ["CNumberText", "TimeSeries"], swiftSettings: ownedHotPath),
        .target(name: "Simulation", dependencies: ["Tabular", "TimeSeries"]),
        .target(name: "Evaluation", dependencies: ["Detection", "TimeSeries"]),

        // What is due to be told to whom.
        .target(name: "Notification", dependencies: ["Tabular", "TimeSeries"], swiftSettings: ownImportsOnly),

        // floor 3
        .target(
            name: "Watching", dependencies: ["Alerting", "Detection", "Models", "Readings", "RecurrentNetwork", "Tabular", "TimeSeries"],
            swiftSettings: ownedHotPath),
        .target(name: "Ingest", dependencies: ["LineFormats", "Platform", "Readings", "TimeSeries"], swiftSettings: ownedHotPath),
        .target(name: "Notify", dependencies: ["Alerting", "Platform", "TimeSeries"]),
        .target(name: "Control", dependencies: ["Platform", "Tabular"], swiftSettings: markedUnsafe),
        .target(name: "Store", dependencies: ["CSQLite", "Alerting", "Migrations", "Platform", "Readings", "Tabular", "TimeSeries"]),

        // floor 4
        .target(
            name: "WatchService",
            dependencies: [
                "Alerting", "Configuration", "Control", "CPlatform", "Detection", "Ingest", "LineFormats", "Models", "Notify", "Platform",
                "Readings", "RecurrentNetwork",
                "Store", "Tabular", "TimeSeries", "Watching",
            ], swiftSettings: ownImportsOnly),
        .target(
            name: "CommandLineTool",
            dependencies: ["LineFormats", "Platform", .product(name: "ArgumentParser", package: "swift-argument-parser")]),

        .target(
            name: "NotifyService",
            dependencies: [
                "CHTTP", "CMosquitto", "Configuration", "Control", "CPlatform", "Notification", "Platform", "Tabular", "TimeSeries",
                .product(name: "TOMLKit", package: "TOMLKit"),
            ], swiftSettings: ownImportsOnly),

        // floor 5
        .executableTarget(
            name: "rnn-notify",
            dependencies: [
                "CommandLineTool", "NotifyService", "Platform", .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ], swiftSettings: ownImportsOnly, linkerSettings: leanLinking),
        .executableTarget(
            name: "rnn-watchd",
            dependencies: [
                "CommandLineTool", "Configuration", "Platform", "WatchService",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ], swiftSettings: ownImportsOnly, linkerSettings: leanLinking),
        .executableTarget(
            name: "rnnctl",
            dependencies: [
                "Alerting", "CommandLineTool", "Configuration", "Control", "Detection", "Evaluation", "LineFormats", "MachineSample",
                "ModelFiles", "Models", "Platform", "Readings", "RecurrentNetwork", "Simulation", "Store", "Tabular", "TimeSeries",
                "WatchService", "Watching",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ], swiftSettings: ownImportsOnly, linkerSettings: leanLinking),
        // Benchmarks and quality runs; not installed.
        .executableTarget(
            name: "rnn-bench",
            dependencies: [
                "Alerting", "CAllocationCount", "Control", "CRecurrentKernels", "Detection", "Ingest", "LineFormats", "ModelFiles",
                "Models",
                "Platform", "Readings", "RecurrentNetwork", "Tabular", "Watching",
            ]),
        .executableTarget(name: "rnn-bench-model", dependencies: ["CRecurrentKernels", "ModelFiles", "RecurrentNetwork"]),
        .executableTarget(name: "rnn-quality", dependencies: ["Detection", "Evaluation", "TimeSeries"]),

        // tests
        .target(name: "CAllocationCount", path: "Tests/CAllocationCount"),
        .testTarget(name: "LineFormatsTests", dependencies: ["CAllocationCount", "LineFormats"]),
        .testTarget(name: "DetectionTests", dependencies: ["CDetectionKernels", "Detection", "TimeSeries"]),
        .testTarget(name: "MachineSampleTests", dependencies: ["MachineSample"]),
        // Runs the built programs.
        .testTarget(
            name: "ModelCommandTests",
            dependencies: ["rnn-watchd", "rnnctl", "Control", "ModelFiles", "Models", "RecurrentNetwork", "Tabular"]),
        .testTarget(name: "ModelFilesTests", dependencies: ["ModelFiles", "RecurrentNetwork"]),
        .testTarget(name: "DurabilityTests", dependencies: ["Configuration", "WatchService"]),
        .testTarget(name: "ReadingsTests", dependencies: ["CDigest", "Readings"]),
        .testTarget(name: "StoreTests", dependencies: ["Alerting", "CSQLite", "Migrations", "Platform", "Readings", "Store"]),
        .testTarget(
            name: "WatchingTests",
            dependencies: ["Alerting", "Detection", "ModelFiles", "Models", "Readings", "RecurrentNetwork", "TimeSeries", "Watching"]),
        .testTarget(name: "RecurrentNetworkTests", dependencies: ["CRecurrentKernels", "ModelFiles", "RecurrentNetwork"]),
        .testTarget(name: "AlertingTests", dependencies: ["Alerting", "TimeSeries"]),
        .testTarget(name: "NotificationTests", dependencies: ["Notification", "Tabular", "TimeSeries"]),
        // Runs the built programs.
        .testTarget(name: "CommandTests", dependencies: ["rnn-watchd", "rnnctl", "Configuration", "CSQLite", "Platform", "Tabular"]),
        .testTarget(name: "ConfigurationTests", dependencies: ["Configuration", "TimeSeries"]),
        .testTarget(name: "ControlTests", dependencies: ["Control", "Platform", "Tabular"]),
        .testTarget(name: "IngestTests", dependencies: ["Ingest", "LineFormats", "Platform", "Readings", "TimeSeries"]),
        .testTarget(name: "PlatformTests", dependencies: ["Platform"]),
        .testTarget(name: "TabularTests", dependencies: ["Tabular"]),
        .testTarget(name: "TimeSeriesTests", dependencies: ["TimeSeries"]),
        .testTarget(name: "SimulationTests", dependencies: ["Simulation", "Tabular", "TimeSeries"]),
    ]
)
