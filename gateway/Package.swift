// swift-tools-version:6.2
import PackageDescription

// A package of its own, so that the build of the daemon does not pay for a web server.
//
// floor 3  rnn-gateway
// floor 2  Gateway (HTTP, MQTT, the page; effects)
// floor 1  WireFormats (bytes of senders to lines; pure)
// ground   CZlib, CMosquitto, and of the daemon's package: JSON, times, sockets, descriptors

let ownImportsOnly: [SwiftSetting] = [.enableUpcomingFeature("MemberImportVisibility")]
// Leaves out what nothing refers to; symbols that are exported would count as referred to.
let leanLinking: [LinkerSetting] = [
    .unsafeFlags(
        ["-Xlinker", "--gc-sections", "-Xlinker", "--no-export-dynamic", "-Xlinker", "--exclude-libs=ALL"], .when(configuration: .release))
]

let package = Package(
    name: "rnn-gateway",
    dependencies: [
        // JSON, moments and spans, Unix sockets, systemd's descriptors: the same code as the daemon's.
        .package(name: "rnn-watchd", path: ".."),
        // HTTP server. Without its traits, which bring all of Foundation.
        .package(url: "https://github.com/hummingbird-project/hummingbird", exact: "2.28.1", traits: []),
        .package(url: "https://github.com/apple/swift-nio", exact: "2.101.2"),
        // TLS with certificate files.
        .package(url: "https://github.com/apple/swift-nio-ssl", exact: "2.37.6"),
        .package(url: "https://github.com/apple/swift-nio-extras", exact: "1.35.2"),
        .package(url: "https://github.com/apple/swift-http-types", exact: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", exact: "2.13.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
        .package(url: "https://github.com/LebJe/TOMLKit", exact: "0.6.0"),
    ],
    targets: [
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        // MQTT client of Debian.
        .systemLibrary(name: "CMosquitto", pkgConfig: "libmosquitto", providers: [.apt(["libmosquitto-dev"])]),
        .target(
            name: "WireFormats",
            dependencies: [
                "CZlib", .product(name: "Shared", package: "rnn-watchd"),
            ], swiftSettings: ownImportsOnly),
        .target(
            name: "Gateway",
            dependencies: [
                "CMosquitto", "WireFormats",
                .product(name: "Shared", package: "rnn-watchd"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "HummingbirdTLS", package: "hummingbird"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "NIOExtras", package: "swift-nio-extras"),
                .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
                .product(name: "TOMLKit", package: "TOMLKit"),
            ], swiftSettings: ownImportsOnly),
        .executableTarget(
            name: "rnn-gateway",
            dependencies: [
                "Gateway", .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Shared", package: "rnn-watchd"),
            ], swiftSettings: ownImportsOnly, linkerSettings: leanLinking),
        .testTarget(name: "WireFormatsTests", dependencies: ["WireFormats", .product(name: "Shared", package: "rnn-watchd")]),
        .testTarget(
            name: "GatewayTests",
            dependencies: [
                "Gateway", "WireFormats", .product(name: "HummingbirdTesting", package: "hummingbird"),
                .product(name: "Hummingbird", package: "hummingbird"), .product(name: "Shared", package: "rnn-watchd"),
            ]),
    ]
)
