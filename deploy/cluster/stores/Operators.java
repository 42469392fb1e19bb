import java.nio.file.*;
import java.util.*;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.common.acl.*;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.resource.*;

/** Operators HOST:PORT TOPICS ACLS: what Strimzi's topic and user operators would do. Waits until the broker answers. */
public class Operators {
  public static void main(String[] arguments) throws Exception {
    Map<String, Object> settings = Map.of(
        "bootstrap.servers", arguments[0], "request.timeout.ms", "5000", "default.api.timeout.ms", "120000");
    try (Admin admin = Admin.create(settings)) {
      List<NewTopic> topics = new ArrayList<>();
      for (String line : Files.readAllLines(Path.of(arguments[1]))) topics.add(topic(line.split(" ")));
      for (var made : admin.createTopics(topics).values().entrySet()) {
        try {
          made.getValue().get();
        } catch (ExecutionException error) {
          if (!(error.getCause() instanceof TopicExistsException)) throw error;
        }
      }
      List<AclBinding> rights = new ArrayList<>();
      for (String line : Files.readAllLines(Path.of(arguments[2]))) rights.add(right(line.split(" ")));
      admin.createAcls(rights).all().get();
      System.out.println(topics.size() + " topics, " + rights.size() + " rights");
    }
  }

  private static NewTopic topic(String[] fields) {
    Map<String, String> settings = new HashMap<>();
    for (int i = 2; i < fields.length; i++) {
      String[] pair = fields[i].split("=", 2);
      settings.put(pair[0], pair[1]);
    }
    return new NewTopic(fields[0], Integer.parseInt(fields[1]), (short) 1).configs(settings);
  }

  private static AclBinding right(String[] fields) {
    var resource = new ResourcePattern(ResourceType.valueOf(fields[1]), fields[2], PatternType.valueOf(fields[3]));
    var operation = AclOperation.valueOf(fields[4]);
    return new AclBinding(
        resource, new AccessControlEntry("User:CN=" + fields[0], "*", operation, AclPermissionType.ALLOW));
  }
}
