import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/**
 * The real Java client, driven by lines on stdin and answering with JSON lines on stdout. Written
 * against what the clients 4.9.4 and 5.4.0 have in common. A line is `id command name=value …`;
 * each is answered once with its id, in whatever order they end. Messages that consumers get are
 * lines without an id.
 */
public final class ClientDriver {
  private static final PrintStream OUT =
      new PrintStream(new FileOutputStream(FileDescriptor.out), false, StandardCharsets.UTF_8);

  /** Arguments of one command. */
  static final class Arguments {
    private final Map<String, String> values = new HashMap<>();

    String text(String name) {
      String value = values.get(name);
      if (value == null) throw new IllegalArgumentException("no " + name + " given");
      return value;
    }

    String text(String name, String otherwise) {
      return values.getOrDefault(name, otherwise);
    }

    int number(String name, int otherwise) {
      return values.containsKey(name) ? Integer.parseInt(values.get(name)) : otherwise;
    }

    long big(String name) {
      return Long.parseLong(text(name));
    }

    boolean flag(String name) {
      return "true".equals(values.get(name));
    }
  }

  /** One JSON object; values are numbers or texts without control characters. */
  static final class Line {
    private final StringBuilder json = new StringBuilder("{");

    Line put(String name, long value) {
      return raw(name, Long.toString(value));
    }

    Line put(String name, String value) {
      String text = value == null ? "" : value;
      return raw(name, '"' + text.replace("\\", "\\\\").replace("\"", "\\\"") + '"');
    }

    private Line raw(String name, String value) {
      if (json.length() > 1) json.append(',');
      json.append('"').append(name).append("\":").append(value);
      return this;
    }

    void say() {
      String text = json.append("}\n").toString();
      synchronized (OUT) {
        OUT.print(text);
        OUT.flush();
      }
    }
  }

  private ClientDriver() {}

  public static void main(String[] args) throws Exception {
    String nameServer = args[0];
    ExecutorService commands = Executors.newCachedThreadPool();
    Producing producing = new Producing(nameServer);
    Consuming consuming = new Consuming(nameServer);
    BufferedReader in =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      String[] words = line.trim().split(" ");
      Arguments arguments = new Arguments();
      for (int i = 2; i < words.length; i++) {
        int equals = words[i].indexOf('=');
        arguments.values.put(words[i].substring(0, equals), words[i].substring(equals + 1));
      }
      commands.execute(() -> run(words[0], words[1], arguments, producing, consuming));
    }
    // Nobody listens any more: no time is spent on closing.
    Runtime.getRuntime().halt(0);
  }

  private static void run(
      String id, String command, Arguments arguments, Producing producing, Consuming consuming) {
    Line answer = new Line().put("id", id);
    try {
      switch (command) {
        case "produce":
          producing.produce(arguments, answer);
          break;
        case "transact":
          Transacting.transact(nameServerOf(consuming), arguments, answer);
          break;
        case "dump":
          Dumping.dump(nameServerOf(consuming), arguments, answer);
          break;
        case "view":
          producing.view(arguments, answer);
          break;
        case "query":
          producing.query(arguments, answer);
          break;
        case "join":
          consuming.join(arguments);
          break;
        case "leave":
          consuming.leave(arguments);
          break;
        case "lite":
          Pulling.lite(nameServerOf(consuming), arguments, answer);
          break;
        case "pull":
          Pulling.pull(nameServerOf(consuming), arguments, answer);
          break;
        default:
          throw new IllegalArgumentException("no command " + command);
      }
    } catch (Throwable error) {
      error.printStackTrace();
      answer.put("error", String.valueOf(error).replaceAll("\\p{Cntrl}", " "));
    }
    answer.say();
  }

  private static String nameServerOf(Consuming consuming) {
    return consuming.nameServer;
  }
}
