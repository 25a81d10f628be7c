// Claims a free person of a group, then says at every moment who of the group is free, until Enter.
//
//     mcs -r:System.Web.Extensions FollowPresence.cs
//     PWS_URL=http://127.0.0.1:8000 mono FollowPresence.exe support "ticket 4711"
//
// PWS_KEY is an API key with the scope `claim`, where one is needed. For Mono and .NET Framework, with nothing else;
// in newer .NET, System.Text.Json reads what JavaScriptSerializer reads here.

using System;
using System.Collections;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Net;
using System.Text;
using System.Threading;
using System.Web.Script.Serialization;

public static class FollowPresence
{
    const int Wait = 30; // seconds that one request waits in line; then comes the next
    const int Silence = 31000; // ms without a byte after which nothing is sure: more than twice stream.keep_alive
    static readonly string Url = Environment.GetEnvironmentVariable("PWS_URL") ?? "http://127.0.0.1:8000";
    static readonly string Key = Environment.GetEnvironmentVariable("PWS_KEY");
    static readonly JavaScriptSerializer Json = new JavaScriptSerializer { MaxJsonLength = int.MaxValue };
    static readonly SortedDictionary<string, Dictionary<string, object>> Contacts =
        new SortedDictionary<string, Dictionary<string, object>>(StringComparer.Ordinal);

    static string lastId; // of the last whole event
    static int retry = 1000; // ms after which to come back
    static string said;

    public static void Main(string[] words)
    {
        var claim = Claim(words[0], words[1]);
        new Thread(() => Follow(words[0])) { IsBackground = true }.Start();
        Console.ReadLine();
        Release(claim);
    }

    // Follows the group's events, for ever: where the connection breaks it comes back, and goes on where it was.
    static void Follow(string group)
    {
        while (true)
        {
            try { Listen(group); }
            catch (WebException failure) { Check(failure); } // no service there, a refusal, or silence
            catch (IOException) { } // a broken connection
            Say("not sure");
            Thread.Sleep(retry);
        }
    }

    static void Listen(string group)
    {
        var request = Request("GET", "/v1/events?group=" + Uri.EscapeDataString(group));
        request.ReadWriteTimeout = Silence;
        if (lastId != null) request.Headers["Last-Event-ID"] = lastId;
        using (var response = request.GetResponse())
        using (var lines = new StreamReader(response.GetResponseStream(), Encoding.UTF8))
        {
            string name = null, id = null, data = null, line;
            while ((line = lines.ReadLine()) != null)
            {
                if (line.StartsWith(":")) Say(WhoIsFree()); // : keep-alive, so that nothing was missed
                else if (line.StartsWith("retry: ")) retry = int.Parse(line.Substring(7));
                else if (line.StartsWith("event: ")) name = line.Substring(7);
                else if (line.StartsWith("id: ")) id = line.Substring(4);
                else if (line.StartsWith("data: ")) data = line.Substring(6);
                else if (line == "" && data != null) // an event is whole with the empty line behind it
                {
                    Take(name, Json.Deserialize<Dictionary<string, object>>(data));
                    lastId = id;
                    data = null;
                    Say(WhoIsFree());
                }
            }
        }
    }

    static void Take(string name, Dictionary<string, object> data)
    {
        switch (name)
        {
            case "snapshot": // replaces all that was known: at the start, and where the id could not be resumed from
                Console.WriteLine("snapshot: " + data["reason"]);
                Contacts.Clear();
                foreach (Dictionary<string, object> contact in (IEnumerable)data["contacts"])
                    Contacts[(string)contact["contact"]] = contact;
                break;
            case "change": Contacts[(string)data["contact"]] = data; break;
            case "removed": Contacts.Remove((string)data["contact"]); break; // no longer watched
        } // others: what happens beside the contacts, and kinds of events that are yet to come
    }

    static string WhoIsFree()
    {
        var unsure = Contacts.Where(each => (string)each.Value["freshness"] != "live").Select(each => each.Key).ToList();
        var free = Contacts.Where(each => (bool)each.Value["available"]).Select(each => each.Key).Except(unsure);
        return "free: " + string.Join(", ", free) + (unsure.Any() ? "; not live: " + string.Join(", ", unsure) : "");
    }

    static void Say(string words)
    {
        if (words != said) Console.WriteLine(words);
        said = words;
    }

    // Waits in line until somebody is free; the id of the claim.
    static string Claim(string group, string purpose)
    {
        var wanted = new Dictionary<string, object> { { "group", group }, { "for", purpose }, { "lease_seconds", 120 } };
        var body = Encoding.UTF8.GetBytes(Json.Serialize(wanted));
        var name = Guid.NewGuid().ToString(); // of all attempts: where a reply is lost, the next gets the same one
        while (true)
        {
            try
            {
                var request = Request("POST", "/v1/claims");
                request.Headers["Idempotency-Key"] = name;
                request.Headers["Prefer"] = "wait=" + Wait;
                request.Timeout = (Wait + 10) * 1000;
                request.ContentType = "application/json";
                using (var stream = request.GetRequestStream()) stream.Write(body, 0, body.Length);
                using (var response = request.GetResponse())
                using (var reader = new StreamReader(response.GetResponseStream(), Encoding.UTF8))
                {
                    var claim = Json.Deserialize<Dictionary<string, object>>(reader.ReadToEnd());
                    var first = ((IEnumerable)claim["contacts"]).Cast<Dictionary<string, object>>().First();
                    Console.WriteLine("claimed: " + first["contact"]);
                    return (string)claim["id"];
                }
            }
            catch (WebException failure) { Check(failure); } // no service there, a lost reply, or nobody was free in time
            Thread.Sleep(1000);
        }
    }

    // Where that fails the claim ends with its lease.
    static void Release(string claim)
    {
        try
        {
            Request("DELETE", "/v1/claims/" + claim).GetResponse().Close();
            Console.WriteLine("released");
        }
        catch (WebException failure)
        {
            Console.WriteLine(failure.Response == null ? "not released" : "the claim has ended");
        }
    }

    static HttpWebRequest Request(string method, string path)
    {
        var request = (HttpWebRequest)WebRequest.Create(Url + path);
        request.Method = method;
        request.Timeout = 10000;
        request.KeepAlive = false;
        if (Key != null) request.Headers["Authorization"] = "Bearer " + Key;
        return request;
    }

    // Returns where trying again may help, and ends the program where it will not: a wrong key, or group.
    static void Check(WebException failure)
    {
        var response = failure.Response as HttpWebResponse;
        if (response == null) return;
        var status = (int)response.StatusCode;
        using (var reader = new StreamReader(response.GetResponseStream(), Encoding.UTF8))
        {
            if (status < 500 && status != 409 && status != 429)
            {
                Console.Error.WriteLine(reader.ReadToEnd());
                Environment.Exit(1);
            }
        }
        int seconds;
        if (int.TryParse(response.Headers["Retry-After"], out seconds)) Thread.Sleep(seconds * 1000);
    }
}
