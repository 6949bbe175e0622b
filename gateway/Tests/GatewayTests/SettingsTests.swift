import Testing

@testable import Gateway

struct SettingsTests {
    @Test("All problems are told together, with line, what was got and what was expected")
    func problems() throws {
        let text = """
            listen = ["nowhere"]
            ack = "perhaps"
            unknown = 1
            [[tokens]]
            name = "a"
            token = "short"
            rights = ["fly"]
            """
        let error = #expect(throws: SettingsError.self) { try Settings(toml: text, file: "g.toml") }
        let all = try #require(error).description
        for part in [
            "g.toml:1: listen", "g.toml:2: ack: got perhaps", "g.toml:3: unknown: unknown key", "got 5 bytes, expected at least 16",
            "got fly",
        ] {
            #expect(all.contains(part), "\(part) in \(all)")
        }
    }

    @Test("A whole file is read")
    func whole() throws {
        let settings = try Settings(
            toml: """
                listen = ["127.0.0.1:8086", "unix:/run/x.sock", "[::1]:80"]
                ack = "received"
                ack_timeout = "5s"
                body_bytes_max = "1MiB"
                [[tokens]]
                name = "a"
                token = "0123456789abcdef"
                rights = ["write", "read"]
                prefix = "p_"
                tags = { site = "n" }
                readings_per_second_max = 10
                """, file: "g.toml")
        #expect(settings.listen == [.tcp(host: "127.0.0.1", port: 8086), .unix(path: "/run/x.sock"), .tcp(host: "::1", port: 80)])
        #expect(settings.acknowledge == .received && settings.acknowledgeTimeout == 5_000_000_000 && settings.bodyBytesMax == 1 << 20)
        #expect(settings.tokens.first?.rights == [.write, .read] && settings.tokens.first?.readingsPerSecondMax == 10)
    }

    @Test("What others than this machine can reach needs tokens")
    func open() {
        var settings = Settings()
        settings.listen = [.tcp(host: "0.0.0.0", port: 1)]
        #expect(throws: SettingsError.self) { try settings.finish() }
        settings.tokens = [Token(name: "a", secret: "0123456789abcdef", rights: [.write])]
        #expect(throws: Never.self) { try settings.finish() }
    }

    @Test("Places", arguments: ["", "8086", "host", "::1:80", "127.0.0.1:99999", "unix:relative"])
    func badPlaces(text: String) { #expect(Listen(text) == nil) }

    @Test(
        "What the reader of TOML would stop the process at, or take for the end, is an error with its place",
        arguments: [("ack = \"stored\"\n[=]\n", "g.toml:2:2: "), ("[.a]\n", "g.toml:1:2: "), ("ack = \"st\0ored\"\n", "g.toml:1:10: ")])
    func deadlyText(text: String, place: String) {
        let error = #expect(throws: SettingsError.self) { try Settings(toml: text, file: "g.toml") }
        #expect(error?.problems.first?.hasPrefix(place) == true, "\(String(describing: error))")
    }
}
