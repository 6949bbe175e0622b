/// The files of the page: one style sheet, one script.
enum Assets {
    static let style = """
        :root { color-scheme: light dark; --paper: #fbfbf9; --ink: #1c1e21; --soft: #5b6068; --line: #d5d7da; --card: #ffffff;
          --accent: #0b5cad; --band: #9cc3ea; --critical: #b3151c; --warning: #8a5300; --info: #0b5cad; --good: #1a6b35; --mark: #f6c7c3; }
        @media (prefers-color-scheme: dark) { :root { --paper: #14161a; --ink: #e8e9eb; --soft: #a6abb3; --line: #353941; --card: #1d2026;
          --accent: #7db7f2; --band: #2c4b6b; --critical: #ff8a85; --warning: #f0b95b; --info: #7db7f2; --good: #7bd397; --mark: #5b2a2a; } }
        * { box-sizing: border-box; }
        body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.45 system-ui, sans-serif; }
        a { color: var(--accent); } :focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
        .skip { position: absolute; left: -999px; } .skip:focus { left: 8px; top: 8px; background: var(--card); padding: 8px; }
        header { border-bottom: 1px solid var(--line); padding: 10px 16px; display: flex; flex-wrap: wrap; gap: 6px 18px; align-items: baseline; }
        header strong { font-size: 1.1rem; } nav { display: flex; flex-wrap: wrap; gap: 4px 14px; }
        nav a[aria-current] { color: var(--ink); font-weight: 700; text-decoration: none; border-bottom: 3px solid var(--accent); }
        main { max-width: 1100px; margin: 0 auto; padding: 16px; }
        h1 { font-size: 1.5rem; margin: 8px 0 12px; overflow-wrap: anywhere; } h2 { font-size: 1.15rem; margin: 24px 0 8px; }
        .tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; padding: 0; margin: 0; list-style: none; }
        .tiles li { background: var(--card); border: 1px solid var(--line); border-left: 6px solid var(--line); border-radius: 6px; padding: 10px 14px; }
        .tiles b { display: block; font-size: 2.6rem; line-height: 1.1; } .tiles .critical { border-left-color: var(--critical); }
        .tiles .warning { border-left-color: var(--warning); } .tiles .good { border-left-color: var(--good); }
        .tiles .critical b { color: var(--critical); } .tiles .warning b { color: var(--warning); } .tiles .good b { color: var(--good); }
        .badge { font-weight: 700; white-space: nowrap; } .badge.critical { color: var(--critical); } .badge.warning { color: var(--warning); }
        .badge.info { color: var(--info); } .none, small, caption { color: var(--soft); }
        table { border-collapse: collapse; width: 100%; background: var(--card); } caption { text-align: left; padding: 4px 0; }
        th, td { text-align: left; padding: 6px 10px; border-bottom: 1px solid var(--line); vertical-align: top; }
        td { overflow-wrap: anywhere; min-width: 5ch; } .scroll { overflow-x: auto; }
        figure { margin: 0 0 16px; background: var(--card); border: 1px solid var(--line); border-radius: 6px; padding: 10px; }
        figcaption { font-weight: 600; } .chart { width: 100%; height: auto; display: block; } .chart text { fill: var(--soft); font-size: 12px; }
        .chart .grid { stroke: var(--line); } .chart .band { fill: var(--band); opacity: .55; } .chart .span { fill: var(--mark); }
        .chart .value { fill: none; stroke: var(--ink); stroke-width: 1.6; stroke-linecap: round; stroke-linejoin: round; }
        .chart .expected { fill: none; stroke: var(--accent); stroke-width: 1.4; stroke-dasharray: 4 3; }
        form.act { display: flex; flex-wrap: wrap; gap: 8px; align-items: end; margin: 8px 0; } label { display: grid; gap: 2px; }
        input, select, button { font: inherit; padding: 7px 10px; border: 1px solid var(--soft); border-radius: 5px; background: var(--card);
          color: var(--ink); min-height: 40px; } button { cursor: pointer; background: var(--accent); color: var(--paper); border-color: var(--accent); }
        .told { font-size: 1.15rem; border-left: 4px solid var(--accent); padding-left: 12px; margin: 8px 0 16px; overflow-wrap: anywhere; }
        dl { display: grid; grid-template-columns: max-content 1fr; gap: 4px 16px; } dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
        .notice { border: 1px solid var(--warning); border-left-width: 6px; padding: 8px 12px; border-radius: 6px; background: var(--card); }
        footer { color: var(--soft); padding: 16px; text-align: center; }
        @media (max-width: 560px) { main { padding: 10px; } th, td { padding: 5px 6px; } dl { grid-template-columns: 1fr; } .tiles b { font-size: 2rem; } .chart text { font-size: 15px; } .chart text[text-anchor="middle"] { display: none; } }
        """

    /// Asks for the page again every five seconds while it is looked at, and puts in what changed. Reading needs none of it.
    static let script = """
        "use strict";
        (() => {
          let tag = "", timer = 0;
          const busy = () => document.querySelector("main form :focus, main details[open]");
          async function refresh() {
            clearTimeout(timer);
            if (document.hidden) return;
            try {
              const answer = await fetch(location.href, { headers: tag ? { "If-None-Match": tag } : {}, credentials: "same-origin" });
              if (answer.status === 200 && !busy()) {
                tag = answer.headers.get("ETag") || "";
                const next = new DOMParser().parseFromString(await answer.text(), "text/html");
                const main = next.querySelector("main");
                if (main) document.querySelector("main").replaceWith(main);
                document.title = next.title;
              }
              document.documentElement.removeAttribute("data-stale");
            } catch { document.documentElement.setAttribute("data-stale", ""); }
            timer = setTimeout(refresh, 5000);
          }
          document.addEventListener("visibilitychange", refresh);
          if (document.body.hasAttribute("data-live")) timer = setTimeout(refresh, 5000);
          document.addEventListener("click", event => {
            const chart = event.target.closest && event.target.closest("svg[data-stream]");
            if (!chart) return;
            const box = chart.getBoundingClientRect(), from = Number(chart.dataset.from), to = Number(chart.dataset.to);
            const share = Math.min(1, Math.max(0, ((event.clientX - box.left) / box.width * 760 - 64) / (760 - 72)));
            location.href = "/stream?stream=" + encodeURIComponent(chart.dataset.stream) + "&at=" + new Date(from + share * (to - from)).toISOString();
          });
        })();
        """
}
