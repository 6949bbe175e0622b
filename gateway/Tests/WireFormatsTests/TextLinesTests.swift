import LineFormats
import Testing

@testable import WireFormats

struct TextLinesTests {
    @Test("Good lines stand as they came, bad ones are refused by number and column, comments and blanks are nothing")
    func mixed() throws {
        let batch = try lines("# c\n\na,x=1 v=1 1700000000000000000\r\nm v=abc\nb v=2")
        #expect(batch.text == "a,x=1 v=1 1700000000000000000\nb v=2\n" && batch.places == [3, 5])
        #expect(batch.refusals.map(\.place) == [4])
        #expect(batch.refusals.first?.reason.hasPrefix("column 5: cannot parse field value") == true)
    }

    @Test("Lines of text and of missing values are passed over, not refused")
    func textOnly() throws {
        let batch = try lines("m state_str=\"on\"\nm v=NaN\nm s=\"x\",v=1")
        #expect(batch.lineCount == 1 && batch.refusedCount == 0 && batch.skippedCount == 3)
    }

    @Test(
        "A stated precision becomes nanoseconds",
        arguments: [
            (TimeUnit.seconds, "1700000000", "1700000000000000000"), (.milliseconds, "1700000000123", "1700000000123000000"),
            (.microseconds, "1700000000123456", "1700000000123456000"), (.nanoseconds, "1700000000123456789", "1700000000123456789"),
            // Said to be nanoseconds: two seconds after 1970, which the daemon would take for seconds.
            (.nanoseconds, "2000000001", "2.000000001"), (.byMagnitude, "1700000000", "1700000000"),
        ])
    func precision(unit: TimeUnit, from: String, to: String) throws {
        let batch = try lines("m,b=2,a=1 v=1.25 \(from)", .init(format: .influx, timeUnit: unit))
        #expect(batch.text.hasSuffix(" v=1.25 \(to)\n"))
    }

    @Test("JSON, PUTVAL and collectd's write_http become line protocol with the names that the daemon gives them")
    func formats() throws {
        let batch = try lines("{\"stream\":\"p,s=a\",\"time\":1700000000,\"x\":3.5}\nPUTVAL h/cpu-0/cpu-idle interval=10 1700000000:97.5")
        #expect(
            batch.text == """
                p,s=a x=3.5 1700000000000000000
                cpu,host=h,plugin_instance=0,type=cpu,type_instance=idle value=97.5 1700000000000000000

                """)
        let document = """
            [{"values":[1,2.5],"dstypes":["gauge","gauge"],"dsnames":["read","write"],"time":1700000000.5,"interval":10,
            "host":"h","plugin":"disk","plugin_instance":"sda","type":"ops","type_instance":""},{"broken":true}]
            """
        let collectd = try lines(document, .init(isOneDocument: true))
        #expect(collectd.text == "disk,host=h,plugin_instance=sda,type=ops read=1,write=2.5 1700000000500000000\n")
        #expect(collectd.refusedCount == 1)
    }

    @Test("A prefix and tags change the head of every form")
    func decoration() throws {
        let batch = try lines("a,x=1 v=1\nb 2\nc{l=\"1\"} 3", .init(), Decoration(prefix: "n_", tags: [("t", "u")]))
        #expect(batch.text == "n_a,x=1,t=u v=1\nn_b,t=u value=2\nn_c,l=1,t=u value=3\n")
    }
}
