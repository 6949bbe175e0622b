import Foundation
import Glibc
import ModelFiles
import Models
import RecurrentNetwork
import Testing

@Suite struct LibraryTests {
    private func model(_ hidden: Int, seed: UInt64) throws -> [UInt8] {
        Safetensors.writeModel(try RecurrentModel(cell: .gru, inputSize: 1, hiddenSize: hidden, outputSize: 1, seed: seed))
    }

    private func versions(_ bench: Bench, _ target: [String]) throws -> [[String: Any]] {
        let outcome = try bench.rnnctl(target + ["model", "list", "--format", "json"])
        return try #require(try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [[String: Any]], "\(outcome.errors)")
    }

    private func active(_ bench: Bench, _ target: [String]) throws -> [Int] {
        try versions(bench, target).filter { $0["active"] as? Bool == true }.compactMap { $0["version"] as? Int }
    }

    private func exercise(_ bench: Bench, _ target: [String]) throws {
        func ok(_ arguments: String...) throws {
            let outcome = try bench.rnnctl(target + ["model"] + arguments)
            #expect(outcome.status == 0, "\(arguments): \(outcome.errors)")
        }
        func refused(_ arguments: String...) throws {
            let outcome = try bench.rnnctl(target + ["model"] + arguments)
            #expect(outcome.status == 1 && !outcome.isCrash, "\(arguments): \(outcome)")
        }
        // 80 units are some 80 kB: more than a request of the control socket may hold.
        let (first, second) = (
            try bench.write("pump.safetensors", try model(80, seed: 1)), try bench.write("new.safetensors", try model(80, seed: 2))
        )
        try ok("import", first)
        try ok("import", first)
        #expect(try versions(bench, target).count == 1)
        #expect(try versions(bench, target)[0]["sha256"] as? String == Digest.sha256(try bench.bytes("pump.safetensors")))
        try ok("import", second, "--name", "pump")
        #expect(try active(bench, target) == [])
        try ok("activate", "pump@1")
        try ok("activate", "pump")
        #expect(try active(bench, target) == [2])
        try refused("remove", "pump@2")
        try ok("rollback", "pump")
        #expect(try active(bench, target) == [1])
        try refused("rollback", "pump")
        try ok("export", "pump@2", bench.path("out.safetensors"))
        #expect(try Safetensors.readModel(try bench.bytes("out.safetensors")) == Safetensors.readModel(try model(80, seed: 2)))
        try ok("remove", "pump@2")
        try refused("show", "pump@2")
        try refused("import", try bench.write("bad.safetensors", Array(try model(4, seed: 1).dropLast(9))))
        try refused("import", first, "--name", "no/slash")
        #expect(try versions(bench, target).count == 1)
        try ok("remove", "pump", "--all")
        #expect(try versions(bench, target).isEmpty)
    }

    @Test func `models come, count, go back and go in a state directory without a daemon`() throws {
        let bench = Bench()
        let daemon = try bench.process(
            "rnn-watchd", ["--stdin", "--state-dir", bench.path("state")], name: "daemon", input: "x v=1 1767571200000000000\n")
        try daemon.run()
        #expect(bench.outcome(daemon, name: "daemon").status == 0)
        try exercise(bench, ["--state-dir", bench.path("state")])
        #expect(try bench.rnnctl("--state-dir", bench.path("state"), "check").status == 0)
    }

    @Test func `the running daemon does the same while readings go on, and loses none`() throws {
        let bench = Bench()
        let daemon = try bench.process(
            "rnn-watchd",
            ["--state-dir", bench.path("state"), "--ingest-socket", bench.path("i"), "--control-socket", bench.path("c")], name: "daemon")
        try daemon.run()
        defer { if daemon.isRunning { kill(daemon.processIdentifier, SIGKILL) } }
        let target = ["--control-socket", bench.path("c")]
        for _ in 0..<300 where try bench.rnnctl(target + ["status"]).status != 0 { usleep(20_000) }
        let lines = (0..<30_000).map { "x v=\(sin(Double($0))) \(1_767_571_200 + $0)000000000\n" }.joined()
        let sender = try bench.process("rnnctl", ["send", "-", "--ingest-socket", bench.path("i")], name: "send", input: lines)
        try sender.run()
        try exercise(bench, target)
        #expect(bench.outcome(sender, name: "send").status == 0)
        let elsewhere = try bench.rnnctl("--state-dir", bench.path("state"), "model", "activate", "pump")
        #expect(elsewhere.status == 1 && elsewhere.errors.contains("already works"))
        kill(daemon.processIdentifier, SIGTERM)
        #expect(bench.outcome(daemon, name: "daemon").status == 0)
        #expect(bench.text("daemon.err").contains("readings_accepted=30000"), "\(bench.text("daemon.err"))")
    }

    @Test func `the digest is SHA-256 as FIPS 180-4 has it`() {
        #expect(Digest.sha256([]) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        #expect(Digest.sha256(Array("abc".utf8)) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(
            Digest.sha256(Array("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq".utf8))
                == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1")
        #expect(
            Digest.sha256([UInt8](repeating: 97, count: 1_000_000)) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
    }

    @Test func `base64 is Foundation's, both ways, and nothing else is accepted`() {
        for count in 0..<70 {
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 97 &+ count) }
            #expect(Base64.encode(bytes) == Data(bytes).base64EncodedString())
            #expect(Base64.decode(Base64.encode(bytes)) == bytes)
        }
        for bad in ["A", "AA=A", "A===", "AB==", "A!==", "AAA", "AAB="] { #expect(Base64.decode(bad) == nil, "\(bad)") }
    }

    @Test func `a card reads back as it was written, and a card that makes no sense is none`() throws {
        let card = ModelCard(
            channels: ["a \"quoted\"", "b"], horizon: 3, loss: .quantile([0.1, 0.9]),
            streams: [("x,site=ö", .init(mean: [1, -2.5], deviation: [0.25, 3]))], pooled: .init(mean: [0, 0], deviation: [1, 1]),
            training: [("cell", "gru")])
        #expect(ModelCard(json: card.json) == card)
        for loss in [Loss.meanSquared, .huber(delta: 0.5), .gaussian, .quantile([0.5])] { #expect(Loss(text: loss.text) == loss) }
        for bad in [
            "", "{}", card.json.replacing("\"horizon\":3", with: "\"horizon\":0"), card.json.replacing("[0.25,3]", with: "[0.25,0]"),
        ] {
            #expect(ModelCard(json: bad) == nil)
        }
        for bad in ["", "mse:1", "huber:-1", "huber:nan", "quantile:0,1", "quantile:2"] { #expect(Loss(text: bad) == nil, "\(bad)") }
    }
}
